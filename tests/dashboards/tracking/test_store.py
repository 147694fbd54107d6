"""How MLflow is imported, in a Python of its own."""

import subprocess
import sys
import textwrap


def test_another_thread_may_import_mlflow_at_the_same_time(tmp_path):
    """Ray Tune does, once it starts, and a recorder begins to import it just before or after."""
    code = f"""
        from dashboards.tracking.store import connect
        from threading import Thread

        failed = []

        def attempt(begin):
            try:
                begin()
            except Exception as error:
                failed.append(repr(error))

        def package():
            import mlflow

        both = (package, lambda: connect("sqlite:///{tmp_path}/m.db"))
        threads = [Thread(target=attempt, args=(each,)) for each in both]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert not failed, failed
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

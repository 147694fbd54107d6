"""`sweep ui` with a server that answers in MLflow's place, as quickly as one can, which experiments a store has."""

import sys
from pathlib import Path

STAND_IN = """\
#!{python} -S
import http.server, os, socket, sqlite3, urllib.parse

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("experiment_name")
        store = sqlite3.connect(os.environ["MLFLOW_BACKEND_STORE_URI"].removeprefix("sqlite:///"))
        found = not name or store.execute("SELECT 1 FROM experiments WHERE name = ?", name).fetchone()
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b"a stand-in")

server = http.server.HTTPServer(("", 0), Answers, bind_and_activate=False)
server.socket = socket.socket(fileno=0)
server.serve_forever()
"""
INSTEAD = """
import sys
sys.executable = sys.argv.pop(1)
from experiments.cli import main
main(prog_name="sweep")
"""


def command(program: Path) -> list[str]:
    """What to start in the place of `sweep`; the server is written to `program`."""
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    return [sys.executable, "-P", "-c", INSTEAD, str(program)]

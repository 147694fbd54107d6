import pytest

from cluster.launch import written

PRINT = """python -c "print(open('t').read())\""""


@pytest.mark.parametrize(
    ("text", "has"),
    [
        *(("postgresql://u:p@h/db", True), ("postgresql://u@h/db", False), ("postgresql+psycopg2://u:p/w@h", True)),
        *(("postgresql://u:${PW}@h/db", False), ("${STUDY_URL}", False), ("postgresql://${U}:${PW}@h", False)),
        *(("${URL:-postgresql://u:p@h/d}", True), ("postgresql://u:${PW:-secret}@h", True)),
        *(("postgresql://h/d?user=a&password=b", True), ("postgresql://h/d?password=${PW}", False)),
        *(("http://ann:pw@mlflow:5000", True), ("http://mlflow:5000/a?x=a@b", False), ("http://mlflow:5000", False)),
        *(("{study: 'postgresql://u:p@h'}", True), ("sqlite:////x/a:b@c.db", False), ("s3://b/x@y:z", False)),
        *(('export URL="postgresql://u:$PW@h/d"', False), ("export URL='postgresql://u:pw@h/d'", True)),
        ("export URL=postgresql://u:$(cat ~/pw)@h", False),
    ],
)
def test_a_password_that_is_written_out_is_seen(text, has):
    assert written.has_password(text) is has


@pytest.mark.parametrize(
    ("override", "place", "what"),
    [
        ("storage.study=postgresql://u:TOPSECRET@h/db", "--set storage.study=...", "holds a password"),
        ("tracking.uri=http://u:TOPSECRET@h:5000", "--set tracking.uri=...", "holds a password"),
        ("storage={study: 'postgresql://u:TOPSECRET@h/db'}", "--set storage=...", "holds a password"),
        ("tracking.notify=https://hooks.slack.com/TOPSECRET", "--set tracking.notify=...", "the address of a webhook"),
        ("tracking={notify: https://ntfy.sh/TOPSECRET}", "--set tracking=...", "the address of a webhook"),
    ],
)
def test_a_secret_of_an_override_is_told_and_not_shown(override, place, what):
    [fault] = written.in_overrides("slurm", ["name=co2", override])
    assert fault.place == place
    assert what in str(fault)
    assert "write ${NAME} in its place, in single quotes, and export NAME where you launch" in str(fault)
    assert "TOPSECRET" not in str(fault)


@pytest.mark.parametrize("override", ["storage.study=${URL}", "tracking.notify=${HOOK}", "tracking.uri=http://h:5000"])
def test_what_the_environment_fills_in_is_right(override):
    assert [*written.in_overrides("kubernetes", [override])] == []


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        *(("MLFLOW_TRACKING_PASSWORD", "hunter2", True), ("AWS_SECRET_ACCESS_KEY", "x", True)),
        *(("AWS_SESSION_TOKEN", "x", True), ("PGPASSWORD", "x", True), ("wandb_api_key", "x", True)),
        *(("HF_TOKEN_2", "x", True), ("SIGNING_PRIVATE_KEY", "x", True), ("DB_CREDENTIALS", "u:p", True)),
        *(("AWS_ACCESS_KEY_ID", "AKIA", False), ("TOKENIZERS_PARALLELISM", "false", False), ("KEYBOARD", "x", False)),
        *(("PASSWORD_FILE", "/run/pw", False), ("RAY_AUTH_TOKEN_PATH", "t", False), ("RAY_AUTH_MODE", "token", False)),
        *(("GOOGLE_APPLICATION_CREDENTIALS", "/var/key.json", False), ("USE_TOKEN", "true", False)),
        *(("AWS_SHARED_CREDENTIALS_FILE", "x", False), ("DB_PASSWORD", "", False), ("MAX_TOKENS", "12", False)),
        *(("PAD_TOKEN", "<pad>", False), ("SECRET_VERSION", "3", False), ("MAX_TOKEN", "512", False)),
        *(("GOOGLE_APPLICATION_CREDENTIALS", f"{each}/key.json", False) for each in ("~", ".", "..", "")),
        *(("API_KEYS", "x", True), ("PASSWORDS", "x", True), ("TOKENS", "x", True), ("DB_PASSWORD", "123456", True)),
    ],
)
def test_a_secret_is_known_by_its_name(name, value, is_secret):
    assert written.is_secret(name, value) is is_secret


@pytest.mark.parametrize(
    ("line", "name"),
    [
        *(
            ("export MLFLOW_TRACKING_PASSWORD=hunter2", "MLFLOW_TRACKING_PASSWORD"),
            ("A=1 HF_TOKEN='x y' b", "HF_TOKEN"),
        ),
        *(('export A=1; PGPASSWORD="a$B"', "PGPASSWORD"), ("login --password=hunter2", "password")),
        *(("export T_TOKEN=${T_TOKEN:-abc}", "T_TOKEN"), ("export A=$(PGPASSWORD=x psql)", "PGPASSWORD")),
        *(("export API_TOKEN=$API_TOKEN", ""), ('export API_TOKEN="${API_TOKEN}"', ""), ("export PGPASSWORD", "")),
        *(('export PGPASSWORD="$(cat "$(dirname $A)/pw")"', ""), ("PGPASSWORD=`cat ~/pw`", "")),
        *(
            ("# export HF_TOKEN=...", ""),
            ("A=1 # HF_TOKEN=x", "HF_TOKEN"),
            ("# A_TOKEN=$(cat f)", ""),
            ("HF_TOKEN='a #b'", "HF_TOKEN"),
        ),
        *(("export X_TOKEN=$(jq -r '.a | (.b)' f)", ""), ("X_TOKEN=$( (cat a) )", ""), ("X_TOKEN=`a`b", "")),
        *((f'A_TOKEN="$({PRINT})"', ""), (f'A_TOKEN="$({PRINT})" B_TOKEN=x', "B_TOKEN"), ("A_TOKEN=$(cat", "")),
        *(("--comment=password=hunter2", "password"), ("--export=ALL,HF_TOKEN=x", "HF_TOKEN")),
        *(("export GOOGLE_APPLICATION_CREDENTIALS=~/key.json", ""), ("export MAX_TOKEN=512", "")),
        *(("module load cuda/12", ""), ("export TOKEN_FILE=~/t", ""), ("dd if=/dev/zero of=x", "")),
    ],
)
def test_a_line_of_shell_that_gives_a_secret_is_seen(line, name):
    assert written.secret_in(line) == name


def test_a_password_in_a_comment_of_a_file_that_is_sent_is_told_with_its_line():
    text = "# before: storage: {study: 'postgresql://u:hunter2@h/db'}\nname: a\n# ${A}://u:p\n"
    [fault] = written.in_text("kubernetes", text, "a.yaml")
    assert fault.place == "a.yaml:1"
    assert "keep it in a Secret" in str(fault)
    assert "hunter2" not in str(fault)
    assert [*written.in_text("kubernetes", text, "a.yaml", {"a.yaml:1"})] == [], "it was told already"


@pytest.mark.parametrize(
    ("line", "has"),
    [
        *(('f"postgresql://{user}:{password}@{host}/db"', False), ('"postgresql://{}:{}@{}".format(u, p, h)', False)),
        *(('"postgresql://%s:%s@%s" % (u, p, h)', False), ("# as postgresql://USER:PASSWORD@HOST/db", False)),
        *(("# postgresql://u:$PW@h", False), ("# postgresql://u:${PW}@h", False), ("# http://u:<pw>@h", False)),
        *(("# http://u:...@h", False), ("# http://u:***@h/a", False), ("'http://h/?password=%(pw)s'", False)),
        *(('f"postgresql://{user!r}:{password:s}@{host}"', False), ('f"postgresql://{user}:hunter2@{host}"', True)),
        *(("# {study: 'postgresql://u:Hunter@h'}", True), ('URL = "postgresql://ann:TOP5ECRET@h"', True)),
    ],
)
def test_what_a_program_or_a_reader_fills_in_is_no_password(line, has):
    found = [*written.in_text("kubernetes", line, "mean.py")]
    assert [(each.code, each.place) for each in found] == [("launch-secret-in-code", "mean.py:1")] * has

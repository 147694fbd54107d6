import pytest

from cluster.launch import written


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

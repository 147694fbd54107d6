"""Notes about a warm refit."""

from lstm.messages.entry import Entry

WARM: dict[str, Entry] = {
    "refit-judges-warm": Entry(
        "judges over {windows} of the {new:,} newer rows, {first} to {last}, if the setting of trial {number} is "
        "better trained anew for {fresh}, or from that trial's weights for {warm} at the learning rate {rate:.3g}. The "
        "better one is then trained on all {count:,} rows",
        example={"windows": "4 windows", "new": 60, "first": "2024-06-01", "last": "2024-07-30", "number": 15}
        | {"fresh": "13 epochs", "warm": "5 epochs", "rate": 0.002, "count": 990},
    ),
    "refit-window-judged": Entry(
        "{first} to {last}: {metric} {warm:.5g} warm, {fresh:.5g} fresh",
        example={"first": "2024-06-01", "last": "2024-06-15", "metric": "val/loss", "warm": 0.11, "fresh": 0.12},
    ),
    "refit-is-better": Entry(
        "over {windows} of newer rows a {kind} refit is {told} than a {other} one, so it is the {kind} one",
        example={"windows": "4 windows", "kind": "warm", "other": "fresh", "told": "8 % [2, 14] better"},
    ),
    "refit-is-alike": Entry(
        "over {windows} of newer rows a {kind} refit can't be told apart from a {other} one: {told}, and the {kind} "
        "one is taken",
        example={"windows": "4 windows", "kind": "warm", "other": "fresh", "told": "2 % better [-3, 7]"},
    ),
    "refit-too-few-windows": Entry(
        "over {windows} of newer rows, too few to tell, a {kind} refit is {told} than a {other} one, and is taken",
        example={"windows": "2 windows", "kind": "fresh", "other": "warm", "told": "3 % better"},
    ),
    "refit-other-diverged": Entry(
        "over {windows} of newer rows a {other} refit diverged, so it is a {kind} one",
        example={"windows": "2 windows", "kind": "fresh", "other": "warm"},
    ),
}

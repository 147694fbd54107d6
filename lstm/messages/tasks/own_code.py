"""A user's own code."""

from lstm.messages.entry import Entry

OWN_CODE: dict[str, Entry] = {
    # --- The file
    "code-unreadable": Entry(
        "the file, which the spec names as its own code, can't be read: {why}",
        "write the right file into the spec, as FILE.py:Class, or name it with --code FILE",
        example={"why": "no such file or directory"},
    ),
    "code-too-large": Entry(
        "the file has {size:,} bytes, a spec's own code must have {most:,} or fewer",
        "leave only the class and what it needs in the file",
        example={"size": 2_000_000, "most": 2**20},
    ),
    "code-no-python": Entry(
        "the file is not valid Python: {why}", "correct the line", example={"why": "invalid syntax"}
    ),
    "code-imports-neighbour": Entry(
        "the file imports a file beside it, which workers do not have",
        "write all the code into one file",
    ),
    "code-raises": Entry(
        "the code raises {kind}: {why}",
        "correct the code there",
        example={"kind": "ZeroDivisionError", "why": "division by zero"},
    ),
    "code-not-executed": Entry(
        "{name} is the user's own code{digest:? (SHA-256 *)}, which only plan, doctor, run, retry, train, predict and "
        "probe execute",
        "use one of these verbs",
        example={"name": "mine.py:Cell", "digest": "0f3a9c51b2d4"},
    ),
    "code-without-class": Entry(
        "the file has no class {name}",
        "write a class of the file into the spec, as FILE.py:Class",
        example={"name": "Cells"},
    ),
    # --- A task
    "task-of-another-class": Entry(
        "the class is not a subclass of lstm.tasks.base.Task", "derive the class from lstm.tasks.base.Task"
    ),
    "task-section-of-another-class": Entry(
        "the class has a section that is not a subclass of lstm.config.section.Data",
        "derive the section's class from lstm.config.section.Data",
    ),
    "task-lacks": Entry("the class lacks {names}", "define {names} in the class", example={"names": ["judge", "load"]}),
    # --- A cell
    "task-without-measure": Entry(
        "evolution needs the metrics of a batch, and the feed of the task {task} has no method measure",
        "give the feed the method measure (see lstm.tasks.base.Measuring), or set training.method: gradient",
        {"task": "own.py:Own"},
    ),
    "cell-of-another-class": Entry(
        "the cell that is built is a {kind}, must be a torch.nn.Module",
        "derive the class from torch.nn.Module",
        example={"kind": "dict"},
    ),
    "cell-returns-no-pair": Entry(
        "the cell must return two things: outputs (batch, time, hidden_size) and a state",
        "return both from forward, in this order",
    ),
    "cell-outputs-of-another-shape": Entry(
        "the cell returns outputs of the shape ({shape}), must be (batch, time, hidden_size) = ({wanted})",
        "return an output of hidden_size numbers for each step of each sequence",
        example={"shape": [2, 4], "wanted": [2, 6, 4]},
    ),
    "cell-outputs-not-finite": Entry(
        "the cell returns outputs that are not finite for inputs between -1 and 1",
        "see to it that the outputs stay finite, for example by smaller initial weights or a bounded activation",
    ),
    "cell-state-lacks-something": Entry(
        "the cell returns other outputs if a sequence is read in two parts, the second with the state after the first",
        "let an output depend on the state and on the steps since then alone, and keep in the state all that later "
        "outputs need of the steps before",
    ),
    "cell-without-training": Entry(
        "the cell has nothing to train: its outputs depend on no parameter",
        "compute the outputs by parameters of the module, and do not detach the outputs",
    ),
}

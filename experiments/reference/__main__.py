"""Write the reference pages: `python -m experiments.reference`."""

from experiments.reference.pages import write

if __name__ == "__main__":
    write()

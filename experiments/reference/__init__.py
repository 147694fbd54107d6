"""The reference pages of the documentation, made from the models, the help texts and the docstrings."""

from lstm.records.errors import BadInput, fault, refused, why_of


def test_a_refusal_within_a_sentence_is_told_without_what_to_do_about_it():
    two = BadInput(fault("path-of-root", at="/root/a.yaml"), fault("kueue-without-queue", "kubernetes.priority"))
    said = (
        "/root/a.yaml: lies in root's own folder, which the user of a pod may not read, and kubernetes.priority: "
        "would do nothing without a queue of Kueue"
    )
    assert why_of(two) == said
    assert all(each.mend not in said for each in two.faults)
    assert why_of(refused("data-changed", "data")) in str(refused("data-changed", "data"))


def test_any_other_error_is_told_as_it_says_itself():
    assert why_of(OSError(13, "Permission denied")) == "[Errno 13] Permission denied"

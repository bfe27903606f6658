"""Task `pages`: a page is looked up by what it shows; a document is short."""

from world_checks import BOTH_SPLITS, NEVER, check_budget, samples, solved


@BOTH_SPLITS
def test_a_page_is_looked_up_by_what_it_shows(split):
    absent = 0
    for sample, (index, found, answer) in solved("pages", split):
        assert sample.kind == "pages.which"
        listed = dict(part.split(" on ") for part in index.split(", "))
        assert list(listed) == sample.told and list(listed.values()) == [f"page {i + 1}" for i in range(len(listed))]
        wanted, page = found.split(" on ")
        assert wanted in sample.question and page == listed.get(wanted, "no page")
        assert answer == (page if wanted in listed else NEVER)
        absent += wanted not in listed
    assert absent > 3


def test_a_document_is_short():
    check_budget("pages", 0, 145)
    assert {len(sample.images) for sample in samples("pages")} == {3, 4, 5, 6}

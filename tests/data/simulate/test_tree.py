"""Newick strings: known trees, and every kind of broken one."""

import pytest

from helixlm.data.simulate.tree import Branch, TreeError, parse_newick


def test_branches_come_in_pre_order():
    assert parse_newick(" ((a:0.1, b_2:0.2) inner:0.05 ,\n c:1):0;") == (
        Branch(0, 1, "", 0.05),
        Branch(1, 2, "a", 0.1),
        Branch(1, 3, "b_2", 0.2),
        Branch(0, 4, "c", 1.0),
    )


def test_a_node_may_have_many_children():
    branches = parse_newick("(a:0,b:0,c:0,d:0)root;")
    assert [branch.species for branch in branches] == ["a", "b", "c", "d"]
    assert {branch.parent for branch in branches} == {0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(a:0.1,b:0.1)", "found 'the end' after the root, expected ';'"),
        ("(a:0.1,b:0.1);(c:1,d:1);", r"found '\(' after ';', expected the end"),
        ("((a:0.1,b:0.1):0.1;", r"found ';', expected '\)' to close a group"),
        ("(a:0.1,b:0.1 ", r"found 'the end', expected '\)' to close a group"),
        ("(a:0.1,:0.1);", "found ':0.1' where a species name"),
        ("(a:0.1,);", r"found '\)' where a species name"),
        ("(a:0.1,2b:0.1);", "found '2b' where a species name"),
        ("", "found 'the end' where a species name"),
        ("(a:0.1,b);", r"the branch to b has '\)', expected a length"),
        ("(a:0.1,b:x);", "the branch to b has ':x', expected a length from 0 to 1"),
        ("(a:0.1,b:2);", "the branch to b has ':2', expected a length from 0 to 1"),
        ("(a:0.1,b:-1);", "the branch to b has ':-1', expected a length from 0 to 1"),
        ("(a:0.1,b:nan);", "the branch to b has ':nan', expected a length from 0 to 1"),
        ("((a:0.1,b:0.1),c:0.1);", "the branch to an inner node has ','"),
        ("a;", "found 0 species, expected two or more"),
        ("(a:0.1);", "found 1 species, expected two or more"),
        ("(a:0.1,a:0.1);", "the species 'a' is there twice"),
    ],
)
def test_broken_trees_are_refused(text, message):
    with pytest.raises(TreeError, match=message):
        parse_newick(text)

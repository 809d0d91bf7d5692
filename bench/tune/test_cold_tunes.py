#!/usr/bin/env python3
"""The verdict over several tunes."""

import unittest

from cold_tunes import judge


def run(winner, *tied):
    return {"winner": winner, "tied": list(tied)}


class Verdict(unittest.TestCase):
    def test_one_winner_is_the_same(self):
        self.assertEqual(judge([run("a"), run("a", "b")]), "same")

    def test_a_tie_that_every_run_declares_is_one(self):
        self.assertEqual(judge([run("a", "b"), run("b", "a"), run("a", "b", "c")]), "tie")

    def test_a_run_that_calls_the_others_winner_a_loser_disagrees(self):
        self.assertEqual(judge([run("a", "b"), run("b")]), "disagree")


if __name__ == "__main__":
    unittest.main()

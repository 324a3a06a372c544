#!/usr/bin/python3
"""What the tests build on: time-outs that count while the machine is idle, ports that nobody else gets,
folders that are made once."""
import multiprocessing
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402


def counted(*looks):
    """Seconds that Patience counts over what it sees: (clock, idle, throttled)."""
    with mock.patch.object(peers.Patience, "look", side_effect=looks):
        patience = peers.Patience()
        for _ in looks[1:]:
            patience.count()
    return patience.spent


def ports_of_a_process(count, answers, end):
    answers.put(peers.free_ports(count))
    end.wait()


def make(folder, answers):
    with peers.made_once(folder) as draft:
        if draft:
            (draft / "file").write_text("made")
        answers.put(bool(draft))


class Peers(unittest.TestCase):
    def test_a_second_counts_in_full_only_while_there_is_a_processor_to_spare(self):
        self.assertAlmostEqual(counted((0, 0, 0), (10, 20, 0)), 10)
        self.assertAlmostEqual(counted((0, 0, 0), (10, 5, 0)), 10)
        self.assertAlmostEqual(counted((0, 0, 0), (10, 4, 0)), 0.5)
        self.assertAlmostEqual(counted((0, 0, 0), (10, 20, 7)), 0.5, msg="a quota held us up")
        self.assertAlmostEqual(counted((0, 0, 0), (10, 0, 0), (20, 20, 0)), 10.5)

    def test_the_machine_is_looked_at(self):
        clock, idle, throttled = peers.Patience.look()
        self.assertGreater(clock, 0)
        self.assertGreaterEqual(idle, 0)
        self.assertGreaterEqual(throttled, 0)

    def test_what_never_comes_is_an_error_that_says_what(self):
        with mock.patch.object(peers.Patience, "look", side_effect=((n, n, 0) for n in range(100))):
            with self.assertRaisesRegex(peers.PeerError, "waited 3 s .* for a miracle"):
                peers.wait_for(lambda: False, 3, "a miracle")
        self.assertEqual(peers.wait_for(lambda: "it", 0, "it"), "it")

    def test_processes_at_once_get_different_ports(self):
        answers, end = multiprocessing.Queue(), multiprocessing.Event()
        children = [multiprocessing.Process(target=ports_of_a_process, args=(40, answers, end)) for _ in range(3)]
        for child in children:
            child.start()
        try:
            found = [port for _ in children for port in answers.get()]
            self.assertEqual(len(set(found)), 120)
            self.assertFalse(peers.reserve_port(found[0]), "a port that another process holds")
        finally:
            end.set()
            for child in children:
                child.join()
        self.assertTrue(peers.reserve_port(found[0]), "a port of a process that has ended")

    def test_a_folder_is_made_once_and_a_half_made_one_is_removed(self):
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "made" / "here"
            left = folder.with_name("here.killed")
            left.mkdir(parents=True)
            answers = multiprocessing.Queue()
            children = [multiprocessing.Process(target=make, args=(folder, answers)) for _ in range(4)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            self.assertEqual(sorted(answers.get() for _ in children), [False, False, False, True])
            self.assertEqual((folder / "file").read_text(), "made")
            self.assertFalse(left.exists())
            with self.assertRaises(ZeroDivisionError):
                with peers.made_once(folder.with_name("other")):
                    raise ZeroDivisionError
            self.assertEqual(sorted(p.name for p in folder.parent.iterdir() if p.is_dir()), ["here"])


if __name__ == "__main__":
    unittest.main()

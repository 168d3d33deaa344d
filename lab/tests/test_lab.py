"""Tests of the lab's own parts that need no machine: archives, libraries, results, consoles, scenarios."""

import contextlib
import io
import os
import select
import subprocess
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

from ppvmm import door, elf, packages, results, scenario
from ppvmm.consoles import Consoles
from ppvmm.cpio import Archive
from ppvmm.network import Network
from ppvmm.qemu import Variant, command_line
from ppvmm.reports import Reports
from ppvmm.term import UserError


class DoorTest(unittest.TestCase):
    class Host:
        """Says what it was asked to run."""

        def run(self, command, _limit):
            if "ended" in command:
                raise UserError("the machine ended")
            return types.SimpleNamespace(code=3, out=f"{command}\n", err="a word\n")

    def _knock(self, words, place):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = door.knock(words, place)
        return code, out.getvalue(), err.getvalue()

    def test_commands_reach_the_running_host(self):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "door"
            self.assertIsNone(door.knock(["status"], place))
            with door.Door(self.Host(), place):
                self.assertEqual(self._knock(["inject", "a b", "wild-rip"], place),
                                 (3, "ppvmm inject 'a b' wild-rip\n", "a word\n"))
                self.assertEqual(self._knock(["ended"], place), (1, "", "ppvmm: the machine ended\n"))
            self.assertIsNone(door.knock(["status"], place))

    def test_an_old_door_does_not_close_a_newer_one(self):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "door"
            old = door.Door(self.Host(), place)
            with door.Door(self.Host(), place):
                old.close()
                self.assertEqual(self._knock(["status"], place)[0], 3)


class ArchiveTest(unittest.TestCase):
    def test_headers_follow_the_newc_format(self):
        archive = Archive()
        archive.file("a/b", b"12345", 0o755)
        data = archive.bytes()
        self.assertEqual(len(data) % 4096, 0)
        names, at = [], 0
        while True:
            self.assertEqual(data[at:at + 6], b"070701")
            fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
            name = data[at + 110:at + 110 + fields[11] - 1].decode()
            names.append((name, fields[1], fields[6]))
            if name == "TRAILER!!!":
                break
            at += (110 + fields[11] + 3) // 4 * 4
            at += (fields[6] + 3) // 4 * 4
        self.assertEqual(names, [("a", 0o40755, 0), ("a/b", 0o100755, 5), ("TRAILER!!!", 0, 0)])

    def test_the_same_entries_give_the_same_bytes(self):
        def make():
            archive = Archive()
            archive.link("x", "y")
            archive.device("dev/console", 5, 1)
            return archive.bytes()
        self.assertEqual(make(), make())


class ElfTest(unittest.TestCase):
    def test_a_program_s_libraries_are_those_the_loader_uses(self):
        program = Path("/usr/bin/python3").resolve()
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        expected = {line.split()[0] for line in told.splitlines() if "=>" in line}
        folders = [Path("/usr/lib/x86_64-linux-gnu"), Path("/lib/x86_64-linux-gnu")]
        found = elf.closure([program], folders)
        self.assertEqual({name for name in found if not name.startswith("ld-linux")}, expected)

    def test_what_is_no_elf_file_needs_nothing(self):
        self.assertEqual(elf.needed(b"#!/bin/sh\n"), (None, []))

    def test_a_missing_library_is_named(self):
        with self.assertRaisesRegex(elf.Missing, "needs lib"):
            elf.closure([Path("/usr/bin/python3").resolve()], [Path("/nonexistent")])


class ResultsTest(unittest.TestCase):
    def test_percentiles_interpolate(self):
        self.assertEqual(results.percentile([1.0, 2.0, 3.0, 4.0], 0.5), 2.5)
        self.assertEqual(results.percentile([7.0], 0.99), 7.0)
        self.assertEqual(results.percentile([0.0, 10.0], 1.0), 10.0)

    def test_a_record_has_the_fields_of_the_format(self):
        record = results.record("c", "read", "us", [3.0, 1.0, 2.0])
        self.assertEqual((record["n"], record["mean"], record["min"], record["max"]), (3, 2.0, 1.0, 3.0))
        self.assertEqual(set(record), {"system", "metric", "unit", "n", "mean", "p50", "p95", "p99", "min", "max"})


class ConsolesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.consoles = Consoles(self.folder)
        self.addCleanup(self.consoles.close)

    def lines(self, name):
        return (self.folder / f"{name}.log").read_text().splitlines()

    def test_xen_and_dom0_are_separated_on_one_clock(self):
        self.consoles.feed_serial(b"(XEN) [    1.500000] Freed 656kB init memory\r\n[    0.250000] hello\r\n(XEN) [ 2.")
        self.consoles.feed_serial(b"000000] later\r\n")
        self.assertEqual(self.lines("xen"), ["[    1.500000] Freed 656kB init memory", "[    2.000000] later"])
        self.assertEqual(self.lines("dom0"), ["[    1.750000] hello"])

    def test_the_mark_relates_the_clocks(self):
        self.consoles.feed_serial(b"(XEN) [   10.000000] TSC not marked as either constant or reliable, warp=0\n")
        self.consoles.synchronise(7.5)
        self.assertEqual(self.consoles.dom0_start, 2.5)

    def test_reports_are_stamped_from_xen_s_start(self):
        self.consoles.dom0_start = 2.0
        reports = Reports(self.folder, self.consoles)
        self.addCleanup(reports.close)
        reports.take({"k": "event", "what": "up", "component": "dom0", "t": 1_500_000_000})
        self.assertEqual(reports.events, [{"t_ms": 3500.0, "what": "up", "component": "dom0"}])

    def test_a_file_cannot_leave_the_folder_of_its_run(self):
        reports = Reports(self.folder, self.consoles)
        self.addCleanup(reports.close)
        reports.take({"k": "file", "name": "../../evil", "d": "aGk=", "last": True})
        self.assertEqual([path.parent for path in reports.files.values()], [self.folder])


class ScenarioTest(unittest.TestCase):
    def test_every_scenario_of_the_tree_is_sound(self):
        self.assertTrue(scenario.names())
        for name in scenario.names():
            one = scenario.load(name)
            self.assertTrue(one.summary and one.suite and (one.script or one.bench))
            for source in one.files.values():
                self.assertTrue((one.folder / source).is_file(), f"{name}: {source}")
            self.assertTrue(one.expect or "check " in one.script, f"{name} checks nothing")

    def load(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            return scenario.load(file.name)

    def test_unknown_keys_are_named(self):
        with self.assertRaisesRegex(UserError, "unknown keys sumary; missing keys summary"):
            self.load('sumary = "x"\nsuite = "lab"\ntimeout_s = 1\nrun = "true"\n')

    def test_settings_are_checked(self):
        variant = Variant()
        variant.apply(["cpus=4", "devices=nic,iommu", "xenstore=none"])
        self.assertEqual((variant.cpus, variant.devices, variant.xenstore), (4, ["nic", "iommu"], "none"))
        for wrong in ("cpus=many", "xenstore=mine", "devices=floppy", "colour=red", "cpus"):
            with self.assertRaises(UserError, msg=wrong):
                Variant().apply([wrong])


class PackagesTest(unittest.TestCase):
    def test_every_group_has_packages_and_each_has_a_reason(self):
        for name in ("build", "lab", "test", "lint", "figures", "image"):
            self.assertTrue(packages.group(name))
        for line in (packages.LAB / "packages").read_text().splitlines():
            if line and line[0] not in "#[":
                self.assertRegex(line, r"^[a-z0-9.+-]+ +# \S")

    def test_without_root_it_says_what_to_run(self):
        with mock.patch("os.geteuid", return_value=1000):
            with self.assertRaisesRegex(UserError, "sudo apt-get install .* nonexistent-package"):
                packages._install(["nonexistent-package"])


class NetworkTest(unittest.TestCase):
    def test_each_card_has_its_place_its_address_and_its_tap(self):
        variant = Variant(devices=["virtio-nic", "nic", "iommu"], network="lan")
        self.assertEqual(variant.cards, ["nic", "virtio-nic"])
        image = types.SimpleNamespace(xen="xen", vmlinux="vmlinux")
        line = " ".join(command_line(variant, image, Path("initramfs"), Path("scratch"), [7, 8]))
        self.assertIn("tap,id=net0,fd=7 -device e1000e,netdev=net0,mac=52:54:00:50:50:01,addr=0x10", line)
        self.assertIn("tap,id=net1,fd=8", line)
        self.assertIn("netdev=net1,mac=52:54:00:50:50:02,addr=0x12", line)
        alone = " ".join(command_line(variant, image, Path("initramfs"), Path("scratch"), []))
        self.assertIn("user,id=net0,restrict=on", alone)

    def test_a_namespace_of_its_own_ends_with_it(self):
        with tempfile.TemporaryDirectory() as folder:
            try:
                network = Network(2, types.SimpleNamespace(root=Path(folder)))
            except UserError as error:
                self.skipTest(str(error))
            try:
                self.assertEqual(len(network.taps), 2)
                code, said = network.run("ip -br link; exit 3", Path(folder), 10)
                self.assertEqual(code, 3)
                for name in (b"lan", b"nic0", b"nic1"):
                    self.assertIn(name, said)
                self.assertEqual(network.run("sleep 60", Path(folder), 0.2)[0], 124)
                # What a command leaves in the background, in a session of its own, holds this pipe open.
                os.mkfifo(Path(folder) / "left")
                pipe = os.open(Path(folder) / "left", os.O_RDONLY | os.O_NONBLOCK)
                code, _ = network.run("setsid sleep 600 > left 2>&1 &", Path(folder), 10)
                self.assertEqual(code, 0)
            finally:
                network.close()
            self.assertTrue(select.select([pipe], [], [], 10)[0])
            self.assertEqual(os.read(pipe, 1), b"", "the end: nobody holds it any more")
            os.close(pipe)
            self.assertIsNotNone(network._holder.poll())


if __name__ == "__main__":
    unittest.main()

import base64
import os
import threading

import pytest
from rapport_cli.errors import CommandError, NotRunning
from rapport_cli.running.state import Folder, ProcessState, State


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / ".rapport")
    made.make()
    return made


def a_state():
    processes = {"registry-api": ProcessState(7, "http://127.0.0.1:1", "running", 2)}
    return State(os.getpid(), "2020-01-01T00:00:00+00:00", "embedded", ready=True, processes=processes)


def test_a_state_reads_as_it_was_written(folder):
    folder.write(a_state())

    assert folder.last() == a_state()


def test_writers_do_not_take_each_others_files(folder):
    failed = []

    def write():
        try:
            for _ in range(200):
                folder.write(a_state())
        except OSError as error:
            failed.append(error)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()

    assert failed == []
    assert [file.name for file in folder.path.iterdir() if file.is_file()] == ["state.json"]
    assert folder.last() == a_state()


def test_only_the_owner_may_read_what_is_written(folder):
    folder.write(a_state())
    folder.master_key()

    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.path.iterdir() if file.is_file()} == {0o600}


def test_a_folder_has_one_platform(folder):
    with folder.held():
        assert folder.taken()
        with pytest.raises(CommandError, match="rapport status"), folder.held():
            pass
    assert not folder.taken()


def test_the_state_of_a_platform_that_has_ended_is_not_running(folder):
    folder.write(a_state())

    with pytest.raises(NotRunning, match="rapport up"):
        folder.state()
    with folder.held():
        assert folder.state() == a_state()


def test_a_folder_that_is_not_there_is_not_taken(tmp_path):
    nowhere = Folder(tmp_path / "nowhere")

    assert not nowhere.taken()
    assert nowhere.last() is None


def test_the_master_key_is_96_bytes_and_stays(folder):
    assert len(base64.b64decode(folder.master_key())) == 96
    assert folder.master_key() == folder.master_key()


def test_a_wipe_takes_data_and_the_key_that_opens_them_and_leaves_the_ports(folder):
    folder.data.mkdir()
    folder.master_key()
    folder.remember_ports({"registry": 1})

    folder.wipe()

    assert not folder.data.exists()
    assert not (folder.path / "master_key").exists()
    assert folder.ports() == {"registry": 1}


def test_a_wipe_keeps_the_key_of_external_data(folder):
    key = folder.master_key()
    state = a_state()
    state.stack = "external"
    folder.write(state)

    folder.wipe()

    assert folder.master_key() == key

from __future__ import annotations

import base64
import contextlib
import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprint_tune.errors import ConfigError, StorageError
from blueprint_tune.service.push import SCENES, Announced, push_server, scene_of_push

ROOT = "gs://bucket"
NAME = "scenes/kitchen_001/isaac_lab/.isaac_lab_complete"
OBJECT = {"kind": "storage#object", "bucket": "bucket", "name": NAME, "generation": "1"}


def envelope(resource: object, **attributes: str) -> dict[str, Any]:
    """What Pub/Sub posts for a Cloud Storage notification."""
    data = base64.b64encode(json.dumps(resource).encode()).decode()
    message = {"data": data, "messageId": "1", "attributes": attributes}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


def scene(tree: object, root: str = ROOT, **options: Any) -> str | None:
    return scene_of_push(json.dumps(tree).encode(), root, **options)


FINALIZED = {"eventType": "OBJECT_FINALIZE", "bucketId": "bucket", "objectId": NAME}
CLOUD_EVENT = {"specversion": "1.0", "type": "google.cloud.storage.object.v1.finalized", "data": OBJECT}


@pytest.mark.parametrize(
    "tree",
    [
        OBJECT,
        CLOUD_EVENT,
        envelope(OBJECT),
        envelope(OBJECT, **FINALIZED),
        {"message": {"attributes": FINALIZED, "messageId": "1"}},
    ],
)
def test_every_kind_of_push_names_its_scene(tree: object) -> None:
    assert scene(tree) == "kitchen_001"


@pytest.mark.parametrize(
    "tree",
    [
        {**OBJECT, "name": "scenes/kitchen_001/isaac_lab/env_cfg.py"},
        {**OBJECT, "bucket": "other"},
        {**CLOUD_EVENT, "type": "google.cloud.storage.object.v1.deleted"},
        envelope(OBJECT, eventType="OBJECT_DELETE"),
    ],
)
def test_other_objects_buckets_and_events_are_none_of_ours(tree: object) -> None:
    assert scene(tree) is None


def test_a_cloud_event_may_have_its_type_in_a_header() -> None:
    assert scene(OBJECT, event_type="google.cloud.storage.object.v1.finalized") == "kitchen_001"
    assert scene(OBJECT, event_type="google.cloud.storage.object.v1.deleted") is None


def test_only_what_lies_below_the_root_counts() -> None:
    below = {**OBJECT, "name": f"team/{NAME}"}
    assert scene(below, root="gs://bucket/team") == "kitchen_001"
    assert scene(OBJECT, root="gs://bucket/team") is None
    assert scene(below, root="gs://bucket/tea") is None
    assert scene(below) is None


@pytest.mark.parametrize("name", ["../x", "a/../b", "\0", "..", "/etc", ""])
def test_path_tricks_are_refused(name: str) -> None:
    with pytest.raises(StorageError, match="cannot name a folder"):
        scene({**OBJECT, "name": f"scenes/{name}/isaac_lab/.isaac_lab_complete"})


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {},
        {"message": 1},
        {"message": {"data": "%%%"}},
        {"message": {"data": 7}},
        {"bucket": 1, "name": "a"},
        {"specversion": "1.0", "data": "x"},
        {"message": {"data": "", "attributes": []}},
        envelope([]),
    ],
)
def test_what_is_no_push_is_refused(tree: object) -> None:
    with pytest.raises(StorageError, match="This push"):
        scene(tree)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=100))
def test_no_body_is_worse_than_refused(body: bytes) -> None:
    with contextlib.suppress(StorageError):
        assert scene_of_push(body, ROOT) is None


def post(port: int, body: bytes, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_server_passes_scenes_on_and_answers() -> None:
    told = Announced()
    with push_server("0", ROOT, told.add) as port:
        assert post(port, json.dumps(envelope(OBJECT)).encode()) == (204, "")
        assert post(port, json.dumps({**OBJECT, "name": "x"}).encode()) == (204, "")
        assert post(port, b"{")[0] == 400
        status, reason = post(port, json.dumps({**OBJECT, "name": NAME.replace("kitchen", "..")}).encode())
        assert (status, "cannot name a folder" in reason) == (400, True)
        for length in ("", "x", "²", (1 << 20) + 1):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
                raw.sendall(f"POST / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
                assert b" 400 " in raw.recv(100)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert json.loads(answer.read()) == {"status": "healthy"}
        with pytest.raises(ConfigError, match="Choose another"), push_server(str(port), ROOT, told.add):
            pass
    assert told.take() == ["kitchen_001"]
    assert told.take() == []


@pytest.mark.parametrize("address", ["", "x", "host:", "1.5", "70000", "²"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"), push_server(address, ROOT, bool):
        pass


def test_a_scene_is_remembered_once_and_not_without_end() -> None:
    told = Announced()
    for number in range(SCENES):
        assert told.add(f"s{number:05}")
        assert told.add(f"s{number:05}")
    with push_server("0", ROOT, told.add) as port:
        assert post(port, json.dumps(OBJECT).encode())[0] == 503
        assert told.take() == [f"s{number:05}" for number in range(SCENES)]
        assert post(port, json.dumps(OBJECT).encode())[0] == 204

"""Asking a broker's API, and what is made of servers that are none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ophl7.errors import LinkDown
from ophl7.simulate.asking import Asker
from ophl7.simulate.steps import NoPatient, PatientIs
from ophl7.simulate.truth import Truth

Answers = Callable[[str], tuple[int, object]]


@contextmanager
def api(answers: Answers, asked: list[tuple[str, str]]) -> Iterator[Asker]:
    """A server that answers each path with a status and a document (or bytes that are none)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            status, document = answers(self.path)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Asker("127.0.0.1", server.server_port, "secret")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pages(documents: Mapping[str, object]) -> Answers:
    return lambda path: (200, documents[path]) if path in documents else (404, {"title": "not there"})


async def test_every_page_of_a_list_is_asked_for() -> None:
    asked: list[tuple[str, str]] = []
    documents = {
        "/api/v1/charges?state=held&limit=500": {"items": [{"id": 3}, {"id": 2}], "next": "2"},
        "/api/v1/charges?state=held&limit=500&cursor=2": {"items": [{"id": 1}], "next": None},
    }
    with api(pages(documents), asked) as asker:
        assert await asker.items("/charges", state="held") == [{"id": 3}, {"id": 2}, {"id": 1}]
    assert {authorization for _, authorization in asked} == {"Bearer secret"}


async def test_patients_that_are_not_known_and_lists_that_are_not_there_are_told_apart() -> None:
    truth = Truth("pm")
    truth.take([PatientIs("PM:1", "DEMO-OAK", "RUTH", "20180412", "F", {}), NoPatient("PM:2")])
    documents: dict[str, object] = {"/api/v1/patients/PM%3A1": {"id": 1}}
    documents |= {f"/api/v1/{name}?limit=500": {"items": [], "next": None} for name in ("appointments", "charges")}
    with api(pages(documents), []) as asker:
        held = await asker.held([truth.document()])
        assert (held.patients, held.merges) == ({"PM:1": {"id": 1}, "PM:2": None}, None)
        with pytest.raises(LinkDown, match="has no list"):
            await asker.items("/nothing")


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, []), (401, {}), (500, b"")])
async def test_what_is_no_api_of_a_broker_is_a_link_that_is_down(answer: tuple[int, object]) -> None:
    with api(lambda _: answer, []) as asker, pytest.raises(LinkDown):
        await asker.items("/charges")


async def test_nobody_there_is_a_link_that_is_down() -> None:
    with api(pages({}), []) as asker:
        pass
    with pytest.raises(LinkDown, match="does not answer"):
        await asker.items("/charges")

"""The envelope, judged by two readers of CloudEvents that are not ours."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schemas import envelope
from schemas.envelope import Context, EnvelopeInvalid, HeadWriter
from schemas.identity import new_id

TEXT = {"type": "string", "minLength": 1}
INTEGER = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
CLOUDEVENTS_1_0 = Draft202012Validator(
    {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "propertyNames": {"pattern": "^[a-z0-9]+$"},
        "properties": {
            "specversion": {"const": "1.0"},
            "id": TEXT,
            "source": TEXT,
            "type": TEXT,
            "subject": TEXT,
            "time": {
                "type": "string",
                "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
            },
            "datacontenttype": TEXT,
            "dataschema": TEXT,
            "data": {},
            "data_base64": {"type": "string"},
        },
        "additionalProperties": {"oneOf": [{"type": "boolean"}, INTEGER, {"type": "string"}]},
    }
)
AWKWARD = 'app "é"\\ \t 日本 \U0001f600/<&> %b %% %(a)s'
CONTEXT = Context("unit-1", "command-1", "cause-1", "00-0af7651916cd43dd-b7ad6b7169203331-01")
CHAIN = "ab" * 32

words = st.text(min_size=1, max_size=40)
numbers = st.integers(1, 2**63 - 1)
contexts = st.none() | st.builds(Context, words, words, words, words) | st.just(Context())


def sealed(source: str = "app-1", subject: str = "trade/T-1", **changes: Any) -> bytes:
    head = HeadWriter(source, changes.get("type", "ledger.account.opened.v1")).head(
        subject,
        changes.get("id", "0192f5a0-0000-7000-8000-000000000001"),
        changes.get("time_ns", 1_700_000_000_123_456_789),
        changes.get("context"),
        snapshot=changes.get("snapshot", False),
    )
    return envelope.seal(
        head, changes.get("data", b'{"account":"a"}'), changes.get("seq", 7), 1, CHAIN
    )


def test_the_bytes_that_logs_out_there_hold_do_not_change() -> None:
    assert sealed(context=Context(unit="u-1")) == (
        b'{"specversion":"1.0","id":"0192f5a0-0000-7000-8000-000000000001","source":"app-1",'
        b'"type":"ledger.account.opened.v1","subject":"trade/T-1",'
        b'"time":"2023-11-14T22:13:20.123456789Z","unit":"u-1",'
        b'"seq":"7","epoch":1,"chain":"' + CHAIN.encode() + b'","data":{"account":"a"}}'
    )


@pytest.mark.parametrize("context", [None, CONTEXT])
def test_a_first_snapshot_says_so(context: Context | None) -> None:
    marked, plain = (sealed(context=context, snapshot=given) for given in (True, False))

    assert envelope.decode(marked).snapshot
    assert not envelope.decode(plain).snapshot
    assert json.loads(marked) == {**json.loads(plain), "snapshot": True}
    assert list(CLOUDEVENTS_1_0.iter_errors(json.loads(marked))) == []


@pytest.mark.parametrize("context", [None, Context(), Context(unit="u"), CONTEXT])
@pytest.mark.parametrize("seq", [1, 2**31, 2**63 - 1])
def test_the_context_attributes_are_those_of_cloudevents(context: Context | None, seq: int) -> None:
    event = json.loads(sealed(AWKWARD, AWKWARD, context=context, seq=seq))

    assert list(CLOUDEVENTS_1_0.iter_errors(event)) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"id": ""},
        {"specversion": "0.3"},
        {"commandId": "c"},
        {"time": "yesterday"},
        {"epoch": 2**31},
        {"subject": ""},
        {"unit": None},
    ],
)
def test_the_rules_of_cloudevents_find_what_is_none(broken: dict[str, Any]) -> None:
    event = json.loads(sealed()) | broken

    assert list(CLOUDEVENTS_1_0.iter_errors(event))


def test_the_reader_of_cloudevents_finds_every_attribute() -> None:
    event_id = new_id()
    event = JSONFormat().read(None, sealed(AWKWARD, AWKWARD, id=event_id, context=CONTEXT))

    assert event.get_specversion() == "1.0"
    assert event.get_id() == event_id
    assert (event.get_source(), event.get_subject()) == (AWKWARD, AWKWARD)
    assert event.get_type() == "ledger.account.opened.v1"
    assert event.get_time() == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert event.get_data() == {"account": "a"}
    extensions = {name: event.get_extension(name) for name in ("seq", "epoch", "chain")}
    assert extensions == {"seq": "7", "epoch": 1, "chain": CHAIN}
    assert {name: event.get_extension(name) for name in Context.__struct_fields__} == {
        "unit": "unit-1",
        "commandid": "command-1",
        "causationid": "cause-1",
        "traceparent": CONTEXT.traceparent,
    }


def test_the_content_type_tells_a_reader_of_kafka_that_this_is_cloudevents() -> None:
    headers = {"content-type": envelope.CONTENT_TYPE}

    event = from_kafka_event(KafkaMessage(headers, b"trade/T-1", sealed()))

    assert event.get_subject() == "trade/T-1"
    assert envelope.CONTENT_TYPE == b"application/cloudevents+json; charset=UTF-8"


@given(st.tuples(words, words, words), numbers, numbers, contexts)
def test_what_was_sealed_is_decoded(
    names: tuple[str, str, str], seq: int, epoch: int, context: Context | None
) -> None:
    source, subject, kind = names
    head = HeadWriter(source, kind).head(subject, "id-1", 5, context)

    found = envelope.decode(envelope.seal(head, b'{"a":[1,"}"]}', seq, epoch, CHAIN))

    assert (found.source, found.subject, found.type) == (source, subject, kind)
    assert (found.seq, found.epoch, found.chain) == (str(seq), epoch, CHAIN)
    assert found.time == "1970-01-01T00:00:00.000000005Z"
    assert bytes(found.data) == b'{"a":[1,"}"]}'
    wanted = context or Context()
    assert {n: getattr(found, n) for n in Context.__struct_fields__} == {
        n: getattr(wanted, n) or None for n in Context.__struct_fields__
    }


@given(st.integers(0, 253_402_300_799_999_999_999))
def test_times_keep_their_nanoseconds(time_ns: int) -> None:
    seconds, nanoseconds = divmod(time_ns, 10**9)

    text = json.loads(sealed(time_ns=time_ns))["time"]

    moment, _, fraction = text.removesuffix("Z").partition(".")
    assert datetime.fromisoformat(moment + "+00:00") == datetime.fromtimestamp(seconds, UTC)
    assert fraction == f"{nanoseconds:09d}"


def test_a_writer_keeps_no_time_of_an_event_before() -> None:
    writer = HeadWriter("app-1", "ledger.account.opened.v1")
    texts = ["2023-11-14T22:13:20.000000005Z", "2023-11-14T22:13:19.999999999Z",
             "2024-02-29T00:00:00.000000000Z", "2023-11-14T22:13:20.100000000Z"]  # fmt: skip
    times = [1_700_000_000_000_000_005, 1_699_999_999_999_999_999,
             1_709_164_800_000_000_000, 1_700_000_000_100_000_000]  # fmt: skip

    heads = [writer.head("account/a", "id-1", time_ns) for time_ns in times]

    assert [json.loads(head + b"}")["time"] for head in heads] == texts


def test_sealing_adds_no_more_bytes_than_were_allowed_for() -> None:
    head, data = b"{", b"{}"

    event = envelope.seal(head, data, 2**63 - 1, 2**63 - 1, CHAIN)

    assert len(event) - len(head) - len(data) <= envelope.SEAL_BYTES_MAX


def test_a_digest_is_the_sha_256_of_the_bytes() -> None:
    event = sealed()

    assert envelope.digest(event) == hashlib.sha256(event).hexdigest()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"", "not a CloudEvents"),
        (b"\xff\xfe", "not a CloudEvents"),
        (sealed().replace(b'"id":"', b'"id":"\xe2', 1), "not a CloudEvents"),
        (b"[]", "not a CloudEvents"),
        (sealed()[:-1], "not a CloudEvents"),
        (sealed() + b"{}", "not a CloudEvents"),
        (sealed().replace(b'"seq":"7",', b""), "`seq`"),
        (sealed().replace(b'"seq":"7"', b'"seq":7'), "seq"),
        (sealed().replace(b'"epoch":1', b'"epoch":"1"'), "epoch"),
        (sealed().replace(b'"chain"', b'"chains"'), "`chain`"),
        (sealed().replace(b'"data"', b'"date"'), "`data`"),
        (sealed().replace(b'"1.0"', b'"0.3"'), "specversion '0.3'"),
    ],
)
def test_what_memferry_did_not_write_is_refused(record: bytes, said: str) -> None:
    with pytest.raises(EnvelopeInvalid, match=said):
        envelope.decode(record)


def test_an_envelope_cannot_be_changed() -> None:
    found = envelope.decode(sealed())

    with pytest.raises(AttributeError):
        found.seq = "8"  # type: ignore[misc]
    assert isinstance(found.data, msgspec.Raw)

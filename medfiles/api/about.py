"""What holds for the whole API, in words: the beginning of its OpenAPI document and of its page."""

from collections.abc import Sequence
from dataclasses import dataclass

LEAD = "Everything medfiles does with patients, records and documents, for scripts and other programs."


@dataclass(frozen=True)
class Topic:
    """One thing to know. `sample`: what it looks like on a terminal."""

    anchor: str
    title: str
    paragraphs: Sequence[str]
    sample: str = ""

    @property
    def markdown(self) -> str:
        shown = [f"```\n{self.sample}\n```"] if self.sample else []
        return "\n\n".join([f"## {self.title}", *self.paragraphs, *shown])


TOPICS: Sequence[Topic] = (
    Topic(
        "signing-in",
        "Signing in",
        (
            "A script sends a personal token with each request. Make one on your account page, or with "
            "`flask medfiles token create`; it is shown this one time. A token has a name, may read or also write, may "
            "be for one patient only, and can end by itself. What it reaches is what its account reaches, never more; "
            "it can be revoked at any moment.",
            "A token that may only read is refused every change: 403, code `scope`. Pages of the same origin may use "
            "the session cookie instead; what changes something then needs the header `X-CSRFToken`.",
            "Wrong tokens are counted: too many from one address within a minute are answered 429. So are an "
            "account’s uploads and its requests for many documents at once.",
        ),
        'export MEDFILES=https://documents.example.org\nexport TOKEN=mf_…\ncurl -H "Authorization: Bearer $TOKEN" \\\n'
        '  "$MEDFILES/api/v1/patients"',
    ),
    Topic(
        "errors",
        "Errors",
        (
            "Every error is `application/problem+json` (RFC 9457): `code` for programs, `detail` a sentence for people "
            "and `errors` with an entry for each field that is wrong. Codes stay; sentences may be reworded.",
            "What is not there and what is not yours look the same, byte for byte: 404. 403 means that you may look at "
            "it and not do this. A mistake of yours is never a 5xx.",
        ),
        'HTTP/1.1 409 CONFLICT\nContent-Type: application/problem+json\n\n{\n  "type": "/api/v1/docs#too-many",\n'
        '  "title": "Not possible right now",\n  "status": 409,\n  "code": "too-many",\n'
        '  "detail": "This visit is full (8 of 8). …"\n}',
    ),
    Topic(
        "retries",
        "Trying again",
        (
            "Try again after 408, 425, 429, 5xx and lost connections, later each time; where there is a `Retry-After`, "
            "wait that many seconds. Anything else gets the same answer again.",
            "Send an `Idempotency-Key` of your own with an upload, and the same with each retry: however often it "
            "arrives, one document is stored. The first is answered 201, each repeat 200 with the same document. "
            "The same key with other bytes, or for another record, is refused with 422. Keys do not expire.",
        ),
        'curl -H "Authorization: Bearer $TOKEN" \\\n  -H "Idempotency-Key: scan-2026-05-12-1" \\\n'
        '  -F file=@Referral.pdf \\\n  "$MEDFILES/api/v1/visit/7/files"',
    ),
    Topic(
        "pages",
        "Long lists",
        (
            "A list of documents comes in pages: 50, or as many as `limit` says, up to 200. `X-Total-Count` is how "
            'many match, `Link` with `rel="next"` the address of the next page; the last one has none. What is added '
            "or deleted meanwhile makes no other document appear twice or not at all. Other lists come whole.",
        ),
        'HTTP/1.1 200 OK\nX-Total-Count: 120\nLink: </api/v1/visit/7/files?cursor=…>; rel="next"',
    ),
    Topic(
        "versions",
        "What changed meanwhile",
        (
            "Answers carry an `ETag`. Ask again with it in `If-None-Match`, and what has not changed is answered 304 "
            "without a body. Send a document’s `ETag` as `If-Match` when you change its name, description or category: "
            "if somebody was faster, nothing is changed and the answer is 412.",
        ),
        'curl -X PUT -H "Authorization: Bearer $TOKEN" \\\n  -H \'If-Match: "20260512T093000.000000"\' \\\n'
        '  --json \'{"category": "referral"}\' \\\n  "$MEDFILES/api/v1/files/1000000001/metadata"',
    ),
    Topic(
        "ranges",
        "Downloads",
        (
            "A document comes byte for byte as it was uploaded. Its `ETag` is the SHA-256 of the bytes, `Repr-Digest` "
            "the same as RFC 9530 writes it. One `Range` is answered 206, several at once with the whole document, one "
            "beyond the end 416; `If-Range` and `HEAD` work too. A download that was cut off goes on where it stopped.",
        ),
        'curl -C - -o Referral.pdf \\\n  -H "Authorization: Bearer $TOKEN" \\\n'
        '  "$MEDFILES/api/v1/files/1000000001/download"',
    ),
    Topic(
        "values",
        "Values",
        (
            "JSON in UTF-8. Times are ISO 8601 in UTC, days `2026-05-12`, sizes bytes. Kinds of records are named in "
            "addresses by name or plural: `visit`, `visits`. A field that is not known is refused, not ignored. "
            "Answers may gain fields within version 1; none goes or changes its meaning.",
            "Every answer carries an `X-Request-Id`, which stands in the log of the server too.",
        ),
    ),
)


def described() -> str:
    return "\n\n".join([LEAD, *(topic.markdown for topic in TOPICS)])

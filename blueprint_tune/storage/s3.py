"""A store in a bucket of S3, or of a server that speaks S3. Importing this needs the extra ``s3``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError

from blueprint_tune.storage.base import Content, Requests
from blueprint_tune.storage.bucket import (
    ABSENT,
    BROKEN,
    BucketStore,
    Damaged,
    Entry,
    bytes_of,
    part_of,
    size_of,
)
from blueprint_tune.storage.retry import Fault

_PASSING = (408, 429, 500, 502, 503, 504)
_PASSING_CODES = (
    "BadDigest",  # what arrived does not have the checksum that was sent along
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
    "IncompleteBody",
    "InternalError",
    "ConditionalRequestConflict",  # another conditional write was under way: ask again who was first
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "ServiceUnavailable",
    "Throttling",
    "RequestTimeTooSkewed",
)
_UNKNOWN_CODES = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "401")
_UNREACHABLE = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
_BROKEN = (
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.ResponseStreamingError,
    boto.ChecksumError,
    boto.FlexibleChecksumError,
    ResponseParserError,
)


class S3Store(BucketStore):
    """Conditions are ETags; SHA-256 is checked by the server on arrival, and here when read."""

    permissions: ClassVar[Mapping[str, str]] = {
        "read": "s3:GetObject (or s3:ListBucket, without which S3 says so of what is not there)",
        "list": "s3:ListBucket",
        "write": "s3:PutObject",
        "delete": "s3:DeleteObject (with s3:GetObject)",
    }
    credentials_advice = (
        "Run 'aws configure' or 'aws sso login', or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    )

    def __init__(self, bucket: str, requests: Requests) -> None:
        super().__init__(f"s3://{bucket}", requests)
        self._name = bucket

    @cached_property
    def _client(self) -> Any:
        """One that tries once: whether to try again is decided in one place."""
        timeout_s = self.requests.timeout_s
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=timeout_s, read_timeout=timeout_s)
        return boto3.session.Session().client("s3", endpoint_url=self.requests.endpoint, config=config)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._name, "Key": key}

    def head(self, key: str) -> Entry:
        """The object's metadata."""
        return _entry(self._client.head_object(**self._at(key)))

    def get(self, key: str, at_most: int | None) -> tuple[bytes, Entry]:
        """Content and metadata of one answer; botocore verifies the checksum that S3 keeps."""
        answer = self._client.get_object(**self._at(key), ChecksumMode="ENABLED")
        with closing(answer["Body"]) as body:
            self._check_size(key, answer["ContentLength"], at_most)
            content = body.read()
        if len(content) != answer["ContentLength"]:
            raise Damaged("its content ended early")
        return content, _entry(answer)

    def put(self, key: str, content: Content, metadata: Mapping[str, str], version: str | None) -> None:
        """One request, or several parts that become the object together."""
        target: dict[str, Any] = {**self._at(key), "Metadata": dict(metadata)}
        condition = {} if version is None else _condition(version)
        if isinstance(content, Path) and size_of(content) > self.requests.part_mib * 2**20:
            self._put_parts(target, content, condition)
            return
        whole = bytes_of(content)
        checksum = _sha256(whole)
        answer = self._client.put_object(**target, **condition, Body=whole, ChecksumSHA256=checksum)
        if answer.get("ChecksumSHA256", checksum) != checksum:
            raise Damaged("what the bucket holds does not have the checksum (SHA-256) of what was sent")

    def names(self, prefix: str, limit: int | None = None) -> list[str]:
        """From pages of a listing."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._name, Prefix=prefix, PaginationConfig={"MaxItems": limit, "PageSize": limit}
        )
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def prefixes(self, prefix: str) -> list[str]:
        """From pages of a listing with a delimiter."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._name, Prefix=prefix, Delimiter="/"
        )
        return [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]

    def remove(self, key: str) -> None:
        """S3 does not say whether there was anything to delete, so that is asked first."""
        self.head(key)
        self._client.delete_object(**self._at(key))

    def _put_parts(self, target: dict[str, Any], file: Path, condition: Mapping[str, str]) -> None:
        """Each part is tried again by itself; nothing is visible before all of them are there."""
        size, step = size_of(file), self.requests.part_mib * 2**20
        begun = self._client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256")
        upload = {"Bucket": self._name, "Key": target["Key"], "UploadId": begun["UploadId"]}
        try:
            parts = [
                self._put_part(upload, number, part_of(file, start, step))
                for number, start in enumerate(range(0, size, step), start=1)
            ]
            self._client.complete_multipart_upload(**upload, **condition, MultipartUpload={"Parts": parts})
        except BaseException:
            self._abort(upload)
            raise

    def _put_part(self, upload: Mapping[str, str], number: int, part: bytes) -> dict[str, Any]:
        checksum = _sha256(part)

        def attempt() -> dict[str, Any]:
            answer: dict[str, Any] = self._client.upload_part(
                **upload, PartNumber=number, Body=part, ChecksumSHA256=checksum
            )
            return answer

        answer = self._persist(f"'{upload['Key']}', part {number}", attempt)
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _abort(self, upload: Mapping[str, str]) -> None:
        """Parts that are left behind cost money and are seen by nobody; failing here changes nothing else."""
        try:
            self._client.abort_multipart_upload(**upload)
        except (boto.BotoCoreError, boto.ClientError):
            return

    def fault_of(self, error: Exception) -> Fault | None:
        """From botocore's exceptions."""
        if isinstance(error, boto.ClientError):
            return _fault_of_answer(error.response)
        if isinstance(error, _UNREACHABLE):
            return Fault("unreachable", f"{urlsplit(self._client.meta.endpoint_url).netloc} does not answer")
        if isinstance(error, boto.ReadTimeoutError):
            return Fault("passing", f"no answer within {self.requests.timeout_s:g} s")
        if isinstance(error, _BROKEN):
            return Fault("passing", BROKEN)
        if isinstance(
            error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.TokenRetrievalError)
        ):
            return Fault("unknown", f"{str(error).rstrip('.')}.")
        return Fault("other", str(error)) if isinstance(error, boto.BotoCoreError) else None


def _fault_of_answer(response: Mapping[str, Any]) -> Fault:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    text = str(response.get("Error", {}).get("Message", code)).partition("\n")[0][:300]
    if status in _PASSING or code in _PASSING_CODES:
        return Fault("passing", f"the server answered {code or status}")
    if code == "NoSuchBucket":
        return Fault("no bucket", text)
    if status == 412:
        return Fault("conflict", text)
    if code in _UNKNOWN_CODES or status == 401:
        return Fault("unknown", f"{text.rstrip('.')}.")
    if status == 404 and code != "NoSuchUpload":
        return Fault("absent", text)
    return Fault("denied" if status == 403 else "other", f"{code}: {text}")


def _condition(version: str) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if version == ABSENT else {"IfMatch": version}


def _entry(answer: Mapping[str, Any]) -> Entry:
    return Entry(answer["ETag"], answer["ContentLength"], answer.get("Metadata", {}))


def _sha256(content: bytes) -> str:
    """As the API writes it: base64."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()

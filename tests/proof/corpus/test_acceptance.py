"""Good files of other people's packages are accepted, or there is a reason why not."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import pytest

from medfiles.documents import detection
from medfiles.errors import MedfilesError
from medfiles.sandbox.pool import Sandbox
from tests.proof.corpus import judges
from tests.proof.corpus.sources import good_papers, some
from tests.support import tools
from tests.support.samples import SAMPLES

EXPLAINED = {  # part of a refusal, and why a good file may get it
    "not supported here": "the decoder lacks this depth or codec, and the refusal says so",
    "megapixels": "too large to be shown",
    "table of contents of a DICOM disc": "contains no image",
    "with macros": "programs inside",
    "other archives": "archives inside",
    "unusual compression": "no office program reads it",
    "more than 500 images": "too many pages",
}
DAMAGED = {  # names of files that one program reads and others do not
    "badheadersize.bmp": "the size of its header is invalid",
    "chunk_no_fctl.png": "an animation without its control chunk",
    "invalid_metadata_type.heic": "its metadata crash the decoder",
    "docx-icon.emf": "a Windows metafile that mentions a PDF",
    "xlsx-icon.emf": "a Windows metafile that mentions a PDF",
}


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    tools.need("dcmtk", "poppler", "imagemagick")


def test_good_files_are_accepted(
    sandbox: Sandbox, share: int, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    files = some("acceptance", [path for path in good_papers() if judges.family(path)], share)
    counts, seconds, unexplained = Counter[str](), [], []
    refused: dict[Path, MedfilesError] = {}
    for path in files:
        start = perf_counter()
        try:
            detection.inspect(path, detection.declared_extension(path.name), sandbox)
        except MedfilesError as error:
            refused[path] = error
        seconds.append(perf_counter() - start)
    with ThreadPoolExecutor(2) as pool:
        good = [path for path, is_good in zip(refused, pool.map(judges.is_good, refused), strict=True) if is_good]
    for path in good:
        reason = DAMAGED.get(path.name) or next(
            (why for words, why in EXPLAINED.items() if words in refused[path].message), None
        )
        counts[reason or "unexplained"] += 1
        if reason is None:
            unexplained.append(f"{path.parent.name}/{path.name}: {refused[path].message}")
    usual = sorted(seconds)[int(len(seconds) * 0.95)]
    record_property("inputs", len(files))
    with capsys.disabled():
        print(f"\n{len(files)} files, {len(refused)} refused, {len(good)} of them good: {dict(counts)}")
        print(f"good files refused without a reason: {len(unexplained)}; inspection p95 {1000 * usual:.1f} ms")
    assert not unexplained, "\n".join(unexplained)


def test_a_judge_tells_good_files_from_damaged_ones(tmp_path: Path) -> None:
    for extension in (".pdf", ".jpg", ".png", ".tiff", ".bmp", ".gif", ".docx", ".xlsx", ".dcm"):
        whole, cut = tmp_path / f"whole{extension}", tmp_path / f"cut{extension}"
        whole.write_bytes(SAMPLES[extension]())
        cut.write_bytes(SAMPLES[extension]()[: len(SAMPLES[extension]()) // 2])
        assert judges.is_good(whole), extension
        assert not judges.is_good(cut), extension

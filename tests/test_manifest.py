"""The manifest of a dataset as CSV and as Parquet."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from espressivo.codes import vocabulary
from espressivo.data import Dataset, manifest, prepare, read_splits
from espressivo.errors import DataError
from played import played


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(5):
        played(number).write(folder / f"{number}.mid")
    (folder / 'bad, "mid".mid').write_bytes(b"MThd")
    return folder


def make(corpus: Path, out: Path, kind: str, **options: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        prepare(
            [corpus],
            out,
            vocabulary=vocabulary("seed"),
            manifest=kind,
            executor=executor,
            **options,  # type: ignore[arg-type]
        )


def test_parquet_says_what_csv_says(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra cluster")
    monkeypatch.setattr(manifest, "_AT_ONCE", 4)  # rows, of 6
    one, other = tmp_path / "one", tmp_path / "other"
    make(corpus, one, "csv")
    make(corpus, other, "parquet")
    assert Dataset(one).pieces == Dataset(other).pieces
    assert len(Dataset(one).pieces) == 5
    rows = [
        list(manifest.manifest_rows((folder / name).read_bytes(), kind, ""))
        for folder, name, kind in (
            (one, "manifest.csv", "csv"),
            (other, "manifest.parquet", "parquet"),
        )
    ]
    assert [{key: str(value) for key, value in row.items()} for row in rows[1]] == rows[0]
    assert read_splits(one / "manifest.csv") == read_splits(other / "manifest.parquet")


def test_a_dataset_has_one_manifest_whatever_it_had_before(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra cluster")
    out = tmp_path / "out"
    for kind in ("csv", "parquet", "csv"):
        make(corpus, out, kind)
        assert [path.name for path in out.glob("manifest.*")] == [f"manifest.{kind}"]
        assert Dataset(out).ids(Dataset(out).pieces[0]).size


def test_a_damaged_table_is_refused(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra cluster")
    out = tmp_path / "out"
    make(corpus, out, "parquet")
    path = out / "manifest.parquet"
    content = path.read_bytes()
    for damaged in (b"", b"PAR1", content[:-9], content[:99] + b"?" + content[100:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"damaged \(manifest.parquet has changed"):
            Dataset(out)
        if damaged[100:] != content[100:]:
            with pytest.raises(DataError, match="cannot be read as Parquet"):
                read_splits(path)
    path.unlink()
    with pytest.raises(DataError, match=r"not a prepared dataset, manifest.parquet is missing"):
        Dataset(out)


def test_without_pyarrow_it_is_said_before_any_work(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow: pip install 'espressivo\[cluster\]'"):
        make(corpus, tmp_path / "out", "parquet")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match=r"one of csv, parquet, not 'xlsx'"):
        make(corpus, tmp_path / "out", "xlsx")

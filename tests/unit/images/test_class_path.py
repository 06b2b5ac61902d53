"""Which folders are on a class path, as a jar shows it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from slipway.images.class_path import source_folders


def test_the_folders_are_those_whose_sources_are_in_the_jar_compiled_or_as_they_are(tmp_path: Path) -> None:
    jar = tmp_path / "app.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for name in ("team/main__init.class", "team/main$f.class", "team/plain.clj", "shared/data.cljc", "conf.edn"):
            archive.writestr(name, "")
    service, shared = tmp_path / "src" / "team" / "src", tmp_path / "shared" / "src"
    main, plain, data = service / "team" / "main.clj", service / "team" / "plain.clj", shared / "shared" / "data.cljc"
    test = tmp_path / "src" / "team" / "test" / "team" / "main_test.clj"
    found = source_folders(jar, [main, plain, data, test, service / "conf.edn", tmp_path / "project.clj"])
    assert set(found.folders) == {service, shared}
    assert found.path_of(service / "team" / "new.clj") == "team/new.clj"
    assert found.path_of(test) is None
    assert found.path_of(service / "conf.edn") is None
    assert found.paths([main, data, test]) == {"team/main.clj": main, "shared/data.cljc": data}

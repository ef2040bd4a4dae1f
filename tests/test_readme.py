"""The README says what is so: its Python runs, what it quotes stands in the source, and both languages show one program."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LANGUAGES = ["README.md", "README.zh-CN.md"]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def promised(block):
    """The comments behind print(...): what the README promises to be printed, as far as it says it exactly."""
    return re.findall(r"^print\(.*\)  # (tensor\(.*\)|True)", block, re.MULTILINE)


def run(program, capsys):
    """Run the blocks one after another, as a reader does, and hold what they print against what they promise."""
    names = {"__name__": "readme"}
    for block in program:
        exec(compile(block, "README", "exec"), names)
        printed = capsys.readouterr().out
        for line in promised(block):
            assert line in printed, f"the README promises {line!r} and gets {printed!r}"
    return names


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_tour_runs_and_prints_what_it_says(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run(blocks(read(name), "python"), capsys)
    assert names["accuracy"] > 0.9
    assert names["report"].ok()
    check_print(names["step"].program(), *blocks(read(name), "python3"))


def check_print(program, shown):
    """Hold a shortened print of a program against it: what stands between its dots is in there, in this order."""
    for part in filter(None, re.split(r"^ *\.\.\.\n", shown, flags=re.MULTILINE)):
        _, found, program = program.partition(part)
        assert found, f"the program has no longer:\n{part}"


@pytest.mark.parametrize("shown", ["b()\n...\na()\n", "a()\nc()\n"])
def test_another_program_is_noticed(shown):
    check_print("a()\nb()\nc()\n", "a()\n...\nc()\n...\n")
    with pytest.raises(AssertionError, match="no longer"):
        check_print("a()\nb()\nc()\n", shown)


def test_a_broken_promise_is_noticed(capsys):
    with pytest.raises(AssertionError, match="promises"):
        run(["import microgradnet as mg\nprint(mg.ones(2))  # tensor([1., 2.])\n"], capsys)


def test_both_languages_show_the_same_program():
    english, chinese = map(read, LANGUAGES)
    for language in ("python", "python3", "py", "sh"):
        code = [re.sub(r"\s*#.*", "", block) for block in blocks(english, language)]
        assert code == [re.sub(r"\s*#.*", "", block) for block in blocks(chinese, language)]


@pytest.mark.parametrize("name", LANGUAGES)
def test_what_is_quoted_stands_in_the_source(name):
    source = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "microgradnet").rglob("*.py"))
    quoted = blocks(read(name), "py")
    assert len(quoted) == 2
    for block in quoted:
        assert block in source, f"no longer in the source:\n{block}"


@pytest.mark.parametrize("name", LANGUAGES)
def test_there_are_exactly_two_commands_to_start_with(name):
    first, second = blocks(read(name), "sh")[:2]
    assert "microgradnet train" in first and "pytest" in second
    assert all(len(command.splitlines()) == 1 for command in (first, second))

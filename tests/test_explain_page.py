"""The stepper's page: complete in itself, nothing in it taken for markup, and right in a real browser without a network."""

import html
import html.parser
import json
import math
import re

import numpy as np
import pytest
from browser import CHROMIUM, DRIVER, Browser
from samples import TABLE, leaves, samples

import microgradnet as mg
from microgradnet import nn
from microgradnet.graph import OPS
from microgradnet.viz import RenderError, explain, page, render
from microgradnet.viz.chinese import OPERATIONS

EVIL = "</script><img src=x onerror=\"window.caught=1\">{{data}}<!--\u2028&'\\n"
TEMPLATE = page.template()


@pytest.fixture(scope="module", autouse=True)
def renderer():
    try:
        render.svg("digraph {}")
    except RenderError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and DRIVER):
        pytest.skip("there is no chromium with its chromedriver")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of an explanation. In the end its console must be empty, and nothing loaded."""

    def open_page(steps, **options):
        browser.open(steps.save(tmp_path / "page.html", **options))
        return browser

    yield open_page
    assert browser.console() == []
    assert browser.run("return performance.getEntriesByType('resource').map(r => r.name)") == []


def network(cost=nn.QuadraticLoss, target=None):
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 2), nn.Sigmoid())
    return cost()(model(mg.randn(4, 2)), mg.rand(4, 2) if target is None else target)


def data_of(text):
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


# --- the text ---------------------------------------------------------------------------------------------------------


def test_it_asks_for_nothing_outside():
    text = page.page(explain(network()), "en")
    outside = re.findall(r"""(?:\bsrc=|\bhref=|url\()\s*["']?([^"')\s>]+)""", text)
    assert set(outside) == {"data:,"}
    assert "default-src 'none'" in text and "{{" not in text
    assert "@import" not in text and "fetch(" not in text


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


def test_names_are_text_wherever_they_stand():
    x, y = mg.tensor([1.0], requires_grad=True), mg.tensor([2.0], requires_grad=True)
    plain = page.page(explain((x * y).sum(), params={"x": x, "y": y}), "en")
    evil = page.page(explain((x * y).sum(), params={EVIL: x, "y": y}), "en")
    assert Tags(plain).tags == Tags(evil).tags
    assert data_of(evil)["leaves"][0]["given"] == EVIL
    assert "\u2028" not in evil


def test_numbers_are_exact_and_json_has_them_all():
    x = mg.tensor([0.1, math.inf, -math.inf, math.nan, 1e-30], requires_grad=True)
    steps = explain((x * mg.tensor([0.1, math.nan, math.inf, -math.inf, 3e38])).sum())
    (leaf,) = data_of(page.page(steps, "en"))["leaves"]
    (row,) = leaf["value"]["rows"]
    assert row[1:4] == ["nan", "inf", "-inf"]
    assert [np.float32(v) for v in row] == pytest.approx(list(steps.gradients[x]), nan_ok=True, rel=0, abs=0)


def test_large_arrays_are_summarised():
    x = np.arange(200.0).reshape(2, 100)
    shown = page.value(x)
    assert "rows" not in shown and shown["shape"] == "(2, 100)"
    assert shown["summary"] == pytest.approx({"min": 0, "max": 199, "mean": 99.5, "norm": np.linalg.norm(x)})
    assert "summary" not in page.value(np.zeros((0, 3)))


def test_equations_and_halves():
    steps = data_of(page.page(explain(network()), "zh"))["steps"]
    said = {flow["name"]: (flow["equations"], flow["half"]) for step in steps for flow in step["flows"]}
    assert said["δ²"] == ([["BP2", "δ² = ((w³)ᵀ δ³) ∘ σ′(z²)", ""]], "")
    assert said["∂C/∂a²"] == ([], "BP2") and said["∂C/∂a³"] == ([], "BP1")
    assert said["∂C/∂w²"][0] == [["BP4", "∂C/∂w²ⱼₖ = a¹ₖ δ²ⱼ", ""]]
    steps = data_of(page.page(explain(network(nn.CrossEntropyLoss, mg.tensor([0, 1, 1, 0]))), "en"))["steps"]
    assert not any(flow["equations"] for step in steps for flow in step["flows"]), "softmax of a sigmoid is not the book's"


def test_rules_are_written_as_mathematics_too():
    steps = data_of(page.page(explain(network()), "en"))["steps"]
    assert [step["equation"] for step in steps][:2] == ["squared_distance(a³, y)", "sigmoid(z³)"]
    said = {flow["name"]: flow["written"] for step in steps for flow in step["flows"]}
    assert said["δ³"] == ["δ³ = ∂C/∂a³ · a³ · (1 − a³)"] and said["∂C/∂w³"] == ["∂C/∂w³ = (δ³)ᵀ @ a²"]
    assert said["∂C/∂b³"] == ["∂C/∂b³ = Σ δ³"]
    x = mg.tensor([[0.5, 1.0]], requires_grad=True)
    (last,) = data_of(page.page(explain(mg.log_softmax(x, dim=1)[0, 1]), "en"))["steps"][1]["flows"]
    assert last["written"] == ["∂C/∂x1 = ∂C/∂v1 − exp(v1) · Σ ∂C/∂v1"]
    (first,) = data_of(page.page(explain(x[0, 1]), "en"))["steps"][0]["flows"]
    assert first["numpy"].startswith("t1 = np.zeros(") and first["written"] == [], "lines that write into an array"


def test_every_operation_has_its_step(monkeypatch):
    monkeypatch.setattr(page, "svg", lambda _source: "<svg></svg>")  # which takes its time
    for name in sorted(name for name, op in OPS.items() if op.differentiable and name not in ("item_of", "module_boundary")):
        sample = samples(name)[0]
        out = OPS[name](*leaves(sample), **sample.params)
        outs = [y for y in (out if isinstance(out, tuple) else (out,)) if y.requires_grad]
        steps = explain(sum((y * y).sum() for y in outs))
        shown = data_of(page.page(steps, "en"))["steps"]
        assert len(shown) == len(steps) and name in [step["op"] for step in shown]
        assert all(flow["formula"] and flow["numpy"] for step in shown for flow in step["flows"])


def test_a_notebook_shows_the_page_or_where_that_is_too_much_the_table(monkeypatch):
    steps = explain(network())
    (frame,) = re.findall(r'<iframe srcdoc="([^"]*)" ', steps._repr_html_())
    assert html.unescape(frame) == page.page(steps, "en")
    monkeypatch.setattr(page, "MOST_STEPS", 1)
    assert steps._repr_html_().startswith("<pre>step  node") and "5 steps are more than" in steps._repr_html_()

    def nothing(_source):
        raise RenderError("no <renderer>")

    monkeypatch.undo()
    monkeypatch.setattr(page, "svg", nothing)
    assert "<iframe" not in steps._repr_html_() and "no &lt;renderer&gt;" in steps._repr_html_()


def test_errors_say_what_to_do(tmp_path):
    steps = explain(network())
    with pytest.raises(ValueError, match="must end in .html"):
        steps.save(tmp_path / "page.svg")
    with pytest.raises(ValueError, match="'en' or 'zh', got 'fr'"):
        steps.save(tmp_path / "page.html", lang="fr")
    x = mg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(page.MOST_STEPS + 1):
        y = y * 1.0
    with pytest.raises(ValueError, match="401 steps are more than a page shows well"):
        explain(y).save(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_both_languages_say_everything():
    texts = re.search(r"const TEXTS = \{(.*?)\n\};", TEMPLATE, re.DOTALL)[1]
    english, chinese = texts.split("  zh: {")
    keys = [set(re.findall(r"(?:^|[,{])\s*(\w+): (?=[\"\[(\w])", re.sub(r'"[^"]*"|`[^`]*`', '""', part), re.MULTILINE))
            for part in (english, chinese)]  # fmt: skip
    assert keys[0] - {"en"} == keys[1] and len(keys[1]) > 30
    used = set(re.findall(r"\bT\.(\w+)|data-(?:t|label)=\"(\w+)\"", TEMPLATE))
    assert {a or b for a, b in used} <= keys[1]


def test_every_operation_of_the_table_is_described_in_chinese():
    assert set(OPERATIONS) == set(TABLE) | {"finite"}  # which stands in the table when a trainer does
    formula = re.compile(r"[^\u4e00-\u9fff]+")
    for name, text in OPERATIONS.items():
        assert text.endswith("。") or formula.fullmatch(text), f"{name}: a sentence, or a formula alone"


def test_every_operation_of_the_table_is_described_in_a_line():
    for name, op in TABLE.items():
        doc = op.__doc__ or ""
        assert doc.strip() and len(doc) <= 120 and "\n" not in doc, f"{name}: {doc!r}"
        assert doc != op.forward.__doc__ or not isinstance(op.forward, np.ufunc), f"{name} is described by NumPy"


def test_an_operation_of_the_users_own_has_its_own_description(plant):
    x = mg.tensor([2.0], requires_grad=True)
    own = plant(lambda x, /: x * x, lambda g, _y, x: g * x * 2, doc="My square.")

    class exp(mg.autograd.Function):
        """My exponential function."""

        @staticmethod
        def forward(ctx, x):
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            return g

    steps = data_of(page.page(explain(exp.apply(own(x)).sum()), "zh"))["steps"]
    docs = {step["op"]: step["doc"] for step in steps}
    assert docs["sum"] == {"en": OPS["sum"].__doc__, "zh": OPERATIONS["sum"]}
    assert docs[own.name] == {"en": "My square."} and "zh" not in docs["exp"]


def contrast(a, b):
    def luminance(colour):
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(k * c for k, c in zip((0.2126, 0.7152, 0.0722), parts))

    low, high = sorted(map(luminance, (a, b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme):
    blocks = re.findall(r":root \{(.*?)\}", TEMPLATE, re.DOTALL)
    colours = {name: [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]
               for name, code in re.findall(r"--([\w-]+): #(\w{6})", blocks[scheme])}  # fmt: skip
    pairs = ["ink page", "ink card", "soft page", "soft card", "soft code", "ink code", "ink accent-soft", "ink done-soft",
             "ink wait-soft", "accent accent-soft", "done done-soft", "wait wait-soft", "on-accent accent"]  # fmt: skip
    for text, ground in map(str.split, pairs):
        assert contrast(colours[text], colours[ground]) >= 4.5, f"{text} on {ground}"
    for tint in ("plus", "minus"):  # the strongest that a cell is tinted
        cell = [0.38 * a + 0.62 * b for a, b in zip(colours[tint], colours["code"])]
        assert contrast(colours["ink"], cell) >= 4.5, tint
    for line in ("strong", "accent", "done", "wait"):
        assert contrast(colours[line], colours["card"]) >= 3, line


# --- the browser ------------------------------------------------------------------------------------------------------

SHOWN = "return [...document.querySelectorAll('[data-leaf]')].map(leaf => [leaf.dataset.complete, " \
        "[...leaf.querySelectorAll('[data-v]')].map(c => c.dataset.v)])"  # fmt: skip


def at(browser):
    return int(browser.run("return document.getElementById('slider').value"))


def numbers_of_leaves(browser):
    return [(complete, [float(v) for v in values]) for complete, values in browser.run(SHOWN)]


@pytest.mark.browser
def test_it_steps_to_the_end_where_the_numbers_are_those_of_grad_and_back(opened):
    loss = network()
    steps = explain(loss)
    browser = opened(steps)
    assert at(browser) == 0 and all(complete == "false" for complete, _ in numbers_of_leaves(browser))
    headings = []
    for k, step in enumerate(steps, 1):
        browser.press("right")
        assert at(browser) == k
        headings.append(browser.run("return document.querySelector('#panel h2').textContent"))
        assert headings[-1] == steps.names.equation(step.node, step.inputs)
        lines = browser.run("return [...document.querySelectorAll('.numpy')].map(c => c.textContent)")
        assert lines == ["\n".join(steps.numpy(step, flow)) for flow in step.flows]
        marked = browser.run("return [...document.querySelectorAll('#graph .node.now')].length")
        assert marked == 1
    browser.press("right")
    assert at(browser) == len(steps), "beyond the end there is nothing"
    loss.backward()
    shown = numbers_of_leaves(browser)
    assert [complete for complete, _ in shown] == ["true"] * 4
    for (_, values), leaf in zip(shown, steps.gradients):
        assert values == leaf.grad.array.ravel().tolist()
    for k in range(len(steps) - 1, -1, -1):
        browser.press("left")
        assert at(browser) == k
        if k:
            assert browser.run("return document.querySelector('#panel h2').textContent") == headings[k - 1]
    browser.press("end")
    assert at(browser) == len(steps)
    browser.press("home")
    assert at(browser) == 0 and all(complete == "false" for complete, _ in numbers_of_leaves(browser))


@pytest.mark.browser
def test_a_gradient_waits_for_the_rest(opened):
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    browser = opened(explain((w * w + mg.exp(w)).sum(), params={"w": w}))
    browser.press("right", "right", "right")
    assert "waiting: 1 of 3 arrived" in browser.run("return document.getElementById('panel').textContent")
    assert browser.run("return document.querySelector('#graph .badge').textContent") == "1/3"
    browser.press("right")
    assert "all 3 arrived" in browser.run("return document.getElementById('leaves').textContent")
    assert numbers_of_leaves(browser) == [("true", pytest.approx([2 + math.e, 4 + math.e**2], rel=1e-6))]


@pytest.mark.browser
@pytest.mark.parametrize("size", [1e-30, 3e-5, 0.02, 1.0, 80.0, 4e7])
def test_a_power_of_ten_stands_above_a_wide_table(opened, size):
    x = mg.tensor([[1.0, -0.5, 0.25, 0.0, 0.125]] * 2, dtype=mg.float64, requires_grad=True)
    browser = opened(explain((x * size * x.detach()).sum()))
    browser.press("end")
    shown = browser.run("return [...document.querySelectorAll('#leaves td')].map(c => [c.textContent, c.dataset.v])")
    above = browser.run("return document.querySelector('#leaves caption').textContent")
    power = re.search("× 10(.*)", above)
    plain = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
    factor = 10.0 ** int(power[1].translate(plain)) if power else 1
    assert bool(power) == (size not in (1.0, 80.0))
    for text, exact in shown:
        assert float(text.translate(plain)) * factor == pytest.approx(float(exact), abs=0.006 * size)


@pytest.mark.browser
def test_slider_buttons_and_clicks_step_too(opened):
    browser = opened(explain(network()))
    browser.run("document.getElementById('slider').focus()")
    browser.press("right", "right")
    assert at(browser) == 2 and browser.run("return document.getElementById('count').textContent") == "2 of 5"
    browser.press("end")
    assert at(browser) == 5
    browser.run("document.getElementById('back').click()")
    assert at(browser) == 4
    browser.run("document.querySelector('#graph .node.done.turn').dispatchEvent(new MouseEvent('click'))")
    assert at(browser) < 4


@pytest.mark.browser
def test_a_link_may_lead_to_a_step(browser, opened, tmp_path):
    browser = opened(explain(network()))
    browser.run("location.hash = '#3'")
    assert at(browser) == 3
    browser.run("location.hash = '#99'")
    assert at(browser) == 5


@pytest.mark.browser
def test_a_notebook_may_hold_two_of_them(browser, tmp_path):
    (tmp_path / "notebook.html").write_text("<link rel=icon href='data:,'>" + explain(network())._repr_html_() * 2)
    browser.open(tmp_path / "notebook.html")
    step = "const d = frames[1].document; d.getElementById('next').click(); return d.getElementById('count').textContent"
    assert browser.run(step) == "1 of 5"
    assert browser.run("return frames[0].document.getElementById('count').textContent") == "0 of 5"
    assert browser.console() == []


@pytest.mark.browser
def test_names_are_text_in_the_browser(opened):
    x = mg.tensor([1.0], requires_grad=True)
    browser = opened(explain((x * x).sum(), params={EVIL: x}))
    browser.press("end")
    assert browser.run("return window.caught === undefined && !document.querySelector('img')")
    assert EVIL in browser.run("return document.getElementById('leaves').textContent")


@pytest.mark.browser
def test_chinese_and_english(opened):
    browser = opened(explain(network()), lang="zh")
    assert browser.run("return document.documentElement.lang") == "zh-Hans"
    browser.press("right")
    assert browser.run("return document.querySelector('h1').textContent") == "反向传播，一步一步看"
    assert "传下去的梯度" in browser.run("return document.getElementById('panel').textContent")
    assert browser.run("return [document.querySelector('.doc').textContent, document.querySelector('.doc').lang]") == [
        OPERATIONS["squared_distance"], "zh-Hans"]  # fmt: skip
    assert browser.run("return document.getElementById('said').textContent").startswith("第 1 步，共 5 步：C，")
    browser.run("document.getElementById('en').click()")
    assert browser.run("return document.documentElement.lang") == "en" and at(browser) == 1
    assert "What goes on" in browser.run("return document.getElementById('panel').textContent")
    assert browser.run("return document.querySelector('.doc').textContent") == OPS["squared_distance"].__doc__


@pytest.mark.browser
def test_a_screen_reader_and_a_keyboard_find_everything(opened):
    browser = opened(explain(network()))
    unnamed = "return [...document.querySelectorAll('button, input, [role]')]" \
              ".filter(e => !(e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML)"  # fmt: skip
    assert browser.run(unnamed) == []
    assert browser.run("return document.getElementById('said').getAttribute('aria-live')") == "polite"
    browser.press("right")
    assert browser.run("return document.getElementById('said').textContent").startswith("Step 1 of 5: C, squared_distance")
    assert browser.run("return document.getElementById('slider').getAttribute('aria-valuetext')").startswith("Step 1 of 5")
    order = []
    browser.run("document.activeElement.blur()")
    for _ in range(9):
        browser.press("tab")
        order.append(browser.run("const e = document.activeElement; return e.id || e.tagName.toLowerCase()"))
    assert order[:9] == ["en", "zh", "first", "back", "slider", "next", "last", "graph", "summary"]
    tree = browser.devtools("Accessibility.getFullAXTree")["nodes"]
    named = {(n["role"]["value"], n.get("name", {}).get("value")) for n in tree if "role" in n and not n["ignored"]}
    assert ("slider", "Step") in named and ("button", "Next step") in named


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_it_fits(opened, width):
    browser = opened(explain(network()))
    browser.size(width, 844)
    for _ in range(6):
        assert browser.run("return document.documentElement.scrollWidth") <= width
        browser.press("right")


@pytest.mark.browser
def test_the_console_is_watched(browser, tmp_path):
    (tmp_path / "faulty.html").write_text("<script>throw new Error('planted')</script>")
    browser.open(tmp_path / "faulty.html")
    (said,) = browser.console()
    assert "planted" in said
    (tmp_path / "outside.html").write_text("<link rel=icon href='data:,'><img src='http://example.com/x.png'>")
    browser.open(tmp_path / "outside.html")
    assert any("ERR_INTERNET_DISCONNECTED" in said for said in browser.console())

"use strict";
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const words = JSON.parse(document.getElementById("words").textContent);
  let drawings = {};

  /** Return the text that the page carries as base64 of gzip. */
  async function unpack(id) {
    const packed = atob(document.getElementById(id).textContent.trim());
    const bytes = new Uint8Array(packed.length);
    for (let place = 0; place < packed.length; place++) bytes[place] = packed.charCodeAt(place);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  // -- charts ----------------------------------------------------------------------------------

  /** Return the colours of the page, light or dark, for a chart's text and lines. */
  function theme(plot) {
    const { color, borderTopColor, fontFamily } = getComputedStyle(plot);
    const axis = { gridcolor: borderTopColor, linecolor: color, tickcolor: color };
    return { color, fontFamily, axis };
  }

  function themed(plot, drawing) {
    const { color, fontFamily, axis } = theme(plot);
    const layout = { ...drawing.layout, font: { color, family: fontFamily, size: 13 } };
    layout.separators = words.separators;
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.xaxis = { ...layout.xaxis, ...axis };
    layout.yaxis = { ...layout.yaxis, ...axis };
    for (const trace of drawing.data) {
      if (!trace.meta?.ink) continue;
      trace.line = { ...trace.line, color };
      trace.marker = { ...trace.marker, color };
    }
    return layout;
  }

  const language = document.documentElement.lang;
  const CONFIG = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d"],
    locale: language,
    locales: { [language]: { dictionary: words.plotly, format: {} } },
  };

  async function draw(figure) {
    const plot = figure.querySelector(".plot");
    const drawing = drawings[figure.id];
    const layout = themed(plot, drawing);
    plot.replaceChildren();
    await Plotly.newPlot(plot, drawing.data, layout, CONFIG);
    // The description beside it says what the picture shows.
    for (const picture of all("svg.main-svg", plot)) picture.setAttribute("aria-hidden", "true");
    plot.dataset.drawn = "yes";
  }

  async function drawAll() {
    if (!window.DecompressionStream) {
      for (const waiting of all(".waiting")) waiting.textContent = words.too_old;
      return;
    }
    let waiting = all(".chart");
    if (!waiting.length) return drawn("all");
    const [library, packed] = await Promise.all([unpack("plotly"), unpack("drawings")]);
    drawings = JSON.parse(packed);
    const script = document.createElement("script");
    script.textContent = library;
    document.head.append(script);
    // What is on the screen first, the others one by one while nothing else is to be done.
    while (waiting.length) {
      const next = waiting.find(onScreen) ?? waiting[0];
      if (!onScreen(next)) await new Promise((resolve) => idle(resolve));
      await draw(next);
      waiting = waiting.filter((figure) => figure !== next);
      drawn(waiting.length ? "some" : "all");
    }
  }

  function drawn(share) {
    document.documentElement.dataset.drawn = share;
  }

  const idle = window.requestIdleCallback ?? setTimeout;

  function onScreen(figure) {
    const { top, bottom } = figure.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  function redraw() {
    for (const figure of all(".chart")) {
      const plot = figure.querySelector(".plot");
      if (!plot.dataset.drawn) continue;
      const drawing = drawings[figure.id];
      Plotly.react(plot, drawing.data, themed(plot, drawing), CONFIG);
    }
  }

  // -- toggles and sliders ---------------------------------------------------------------------

  function toggle(box) {
    const figure = box.closest(".chart");
    const traces = box.dataset.traces.split(",").map(Number);
    for (const place of traces) drawings[figure.id].data[place].visible = box.checked;
    Plotly.restyle(figure.querySelector(".plot"), { visible: box.checked }, traces);
  }

  /** Show one step in a chart, and in the others of the same run that have the same steps. */
  function step(slider, place) {
    const run = slider.closest(".run");
    for (const other of run ? all(".slider input", run) : [slider]) {
      if (other.max === slider.max) showStep(other, place);
    }
  }

  function showStep(slider, place) {
    const figure = slider.closest(".chart");
    const { film, steps } = drawings[figure.id];
    const said = words.of.replace("{step}", steps[place]).replace("{last}", steps.at(-1));
    slider.value = place;
    slider.setAttribute("aria-valuetext", said);
    figure.querySelector("output").textContent = said;
    const shown = film.map((curve) => curve[place]);
    shown.forEach((y, trace) => { drawings[figure.id].data[trace].y = y; });
    const plot = figure.querySelector(".plot");
    if (plot.dataset.drawn) Plotly.restyle(plot, { y: shown }, [...film.keys()]);
  }

  function play(button) {
    const slider = button.parentElement.querySelector("input");
    const starts = button.getAttribute("aria-pressed") === "false";
    press(button, starts);
    if (!starts) return;
    let place = Number(slider.value) >= Number(slider.max) ? 0 : Number(slider.value);
    const pace = Math.max(1, Math.ceil(slider.max / 100));
    const timer = setInterval(() => {
      if (button.getAttribute("aria-pressed") === "false") return clearInterval(timer);
      step(slider, Math.min(place, Number(slider.max)));
      if (place >= Number(slider.max)) press(button, false);
      place += pace;
    }, 60);
  }

  function press(button, pressed) {
    button.setAttribute("aria-pressed", String(pressed));
    button.textContent = pressed ? button.dataset.pause : button.dataset.play;
  }

  // -- tables ----------------------------------------------------------------------------------

  function sort(head) {
    const rising = head.getAttribute("aria-sort") !== "ascending";
    const place = [...head.parentElement.children].indexOf(head);
    const body = head.closest("table").tBodies[0];
    const key = (row) => row.cells[place].dataset.order ?? row.cells[place].textContent;
    const isNumber = (text) => text !== "" && !Number.isNaN(Number(text));
    const order = (first, second) => {
      const [a, b] = [key(first), key(second)];
      if (isNumber(a) && isNumber(b)) return rising ? a - b : b - a;
      if (isNumber(a) || isNumber(b)) return isNumber(a) ? -1 : 1; // what is missing stands last
      return rising ? a.localeCompare(b) : b.localeCompare(a);
    };
    body.append(...[...body.rows].sort(order));
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  }

  /** Fill the table behind a chart when it is opened. */
  function numbers(details) {
    const box = details.querySelector(".scroll");
    const plot = details.closest(".chart").querySelector(".plot");
    if (!details.open || !plot.data) return;
    const table = document.createElement("table");
    const write = (row, texts, kind) => {
      for (const text of texts) {
        const cell = document.createElement(kind);
        cell.textContent = text;
        if (kind === "th") cell.scope = "col";
        row.append(cell);
      }
    };
    const axis = (name) => plot.layout[name]?.title?.text || name[0];
    write(table.createTHead().insertRow(), ["", axis("xaxis"), axis("yaxis")], "th");
    const body = table.createTBody();
    for (const trace of plot.data) {
      if (trace.type !== "scatter" || trace.hoverinfo === "skip" || trace.visible === false) continue;
      for (let place = 0; place < trace.x.length; place++) {
        const said = [trace.name, Array.isArray(trace.text) ? trace.text[place] : ""];
        const point = [trace.x[place], trace.y[place]].map((v) => Number(v).toPrecision(4));
        write(body.insertRow(), [said.filter(Boolean).join(" "), ...point], "td");
      }
    }
    box.replaceChildren(table);
  }

  async function raw(details) {
    const box = details.querySelector("pre");
    if (!details.open || box.textContent) return;
    const text = await unpack(details.dataset.packed);
    const most = 200000;
    box.textContent = text.length > most ? `${text.slice(0, most)}\n... ${details.dataset.cut}` : text;
  }

  async function download(button) {
    const text = await unpack(button.closest("details").dataset.packed);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = button.dataset.name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  async function copy(button) {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
    button.textContent = button.dataset.copied;
  }

  // -- the page --------------------------------------------------------------------------------

  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement.style;
    const dark = root.colorScheme
      ? root.colorScheme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.colorScheme = dark ? "light" : "dark";
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", redraw);
  addEventListener("afterprint", redraw);
  for (const box of all(".toggles input")) box.addEventListener("change", () => toggle(box));
  for (const slider of all(".slider input")) {
    slider.addEventListener("input", () => step(slider, Number(slider.value)));
  }
  for (const button of all(".play")) button.addEventListener("click", () => play(button));
  for (const head of all(".sortable th")) {
    head.querySelector("button").addEventListener("click", () => sort(head));
  }
  for (const one of all("details.numbers")) one.addEventListener("toggle", () => numbers(one));
  for (const one of all("details.raw")) one.addEventListener("toggle", () => raw(one));
  for (const button of all(".download")) button.addEventListener("click", () => download(button));
  for (const button of all(".copy")) button.addEventListener("click", () => copy(button));
  // The page is read first, then drawn.
  addEventListener("load", () => requestAnimationFrame(() => setTimeout(drawAll)));
})();

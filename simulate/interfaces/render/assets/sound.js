"use strict";
/* The recording of a call: both waveforms, turns, events and the trace's spans on one time axis; click to seek. */
(() => {
  const { el, known, seconds } = Sim;
  const KINDS = { TURN: "turn", STT: "stt", LLM: "llm", TOOL: "tool", TTS: "tts" };
  const WORDS = {
    reply: "the agent replied", no_reply: "no reply; the caller spoke again", barge_in: "the caller cut in",
    agent_cut_in: "the agent talked over the caller", hung_up: "the agent hung up on the caller", premature: "the agent took a pause for the end",
    backchannel: "“mhm”", vocal_tic: "a cough or the like", aside: "said to somebody else", hold_music: "hold music", false_stop: "the agent broke off, and the caller had said nothing", dead_air: "silence while the agent was due",
  };
  const LONG = 2; // seconds of silence that deserve a mark

  Sim.panels.push((outcome, handlers) => {
    const sound = outcome.sound;
    if (!sound) return null;
    const audio = el("audio", { controls: true, preload: "metadata", src: sound.src });
    const lost = el("p", { class: "empty", hidden: true }, "The sound is not beside this report: ", el("code", null, sound.file));
    audio.addEventListener("error", () => { lost.hidden = false; audio.hidden = true; });
    const seek = (at, play) => { audio.currentTime = Math.max(0, Math.min(sound.seconds, at)); if (play) audio.play().catch(() => {}); move(); };
    const head = el("div", { class: "sound-head", "aria-hidden": "true" });
    const stage = el("div", { class: "sound-stage", tabindex: "0", role: "slider", "aria-label": "position in the call", "aria-valuemin": "0", "aria-valuemax": sound.seconds.toFixed(1) },
      lane("caller", sound, outcome), lane("agent", sound, outcome), ...spanLanes(outcome, sound, handlers), ...bands(sound), head);
    const place = (event) => { const box = stage.getBoundingClientRect(); return ((event.clientX - box.left) / box.width) * sound.seconds; };
    stage.addEventListener("click", (event) => { if (!event.target.closest("button")) seek(place(event), true); });
    stage.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (by) seek(audio.currentTime + by);
      else if (event.key === " ") { if (audio.paused) audio.play().catch(() => {}); else audio.pause(); }
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    const now = el("span", { class: "num dim" });
    const said = el("p", { class: "sound-said", "aria-live": "off" });
    let turn = null;
    function move() {
      const at = audio.currentTime;
      head.style.setProperty("left", `${(at / sound.seconds) * 100}%`);
      stage.setAttribute("aria-valuenow", at.toFixed(1));
      stage.setAttribute("aria-valuetext", seconds(at));
      now.textContent = `${seconds(at)} of ${seconds(sound.seconds)}`;
      const current = utterances(outcome).filter((entry) => entry.start <= at + 0.05);
      const last = current[current.length - 1];
      said.textContent = last ? Sim.visible(`${last.speaker}: ${known(last.heard) ? last.heard : last.text}`) : "";
      follow(last ? last.turn : null);
    }
    function follow(number) {
      if (number === turn) return;
      const root = section.parentElement;
      if (root) for (const node of root.querySelectorAll(".turn.sounding")) node.classList.remove("sounding");
      turn = number;
      const node = root && number !== null ? root.querySelector(`#turn-${Number(number)}`) : null;
      if (node) node.classList.add("sounding");
    }
    let frame = 0;
    const tick = () => { move(); frame = audio.paused ? 0 : requestAnimationFrame(tick); };
    audio.addEventListener("play", () => { if (!frame) tick(); });
    audio.addEventListener("seeked", move);
    const section = el("section", { class: "sound", "aria-label": "recording" },
      el("h3", null, "Recording ", el("span", { class: "dim" }, "caller above, agent below · "), now), stage, axis(sound), said, audio, lost, list(sound, seek, handlers));
    move();
    requestAnimationFrame(() => drawAll(stage, sound));
    new ResizeObserver(() => drawAll(stage, sound)).observe(stage);
    return section;
  });

  const utterances = (outcome) => (outcome.conversation.utterances || []).filter((entry) => entry.kind !== "silence");
  const share = (at, sound) => `${(Math.max(0, Math.min(sound.seconds, at)) / sound.seconds) * 100}%`;

  function lane(who, sound, outcome) {
    const boxes = utterances(outcome).filter((entry) => entry.speaker === who).map((entry) =>
      el("span", { class: `sound-turn ${entry.interrupted ? "cut" : ""} ${entry.kind === "speech" ? "" : entry.kind}`, title: `${entry.turn ? `turn ${entry.turn}: ` : ""}${entry.kind === "dtmf" ? `keys ${entry.text}` : entry.text}`,
        vars: { left: share(entry.start, sound), width: share(Math.max(0, entry.end - entry.start), sound) } }));
    return el("div", { class: `sound-lane of-${who}` }, boxes, el("canvas", { "data-who": who }), el("span", { class: "sound-who" }, who));
  }

  /** The agent's spans under the waveforms, one thin row a kind; only kinds that the trace has. */
  function spanLanes(outcome, sound, handlers) {
    if (!outcome.trace) return [];
    const shift = Number(BigInt(outcome.trace.zero_ns) - BigInt(sound.started_ns)) / 1e9;
    return Object.entries(KINDS).map(([kind, colour]) => {
      const spans = outcome.trace.spans.filter((span) => span.kind === kind && known(span.for) && shift + span.at / 1000 < sound.seconds).slice(0, 400);
      if (!spans.length) return null;
      return el("div", { class: "sound-spans" }, el("span", { class: "sound-kind" }, kind.toLowerCase()), spans.map((span) => {
        const from = shift + span.at / 1000;
        return el("button", { type: "button", class: `sound-span k-${colour} ${span.failed ? "failed" : ""}`, tabindex: "-1", title: `${span.name}, ${seconds(span.for / 1000)}`,
          vars: { left: share(from, sound), width: share(Math.min(span.for / 1000, sound.seconds - from), sound) }, onclick: () => handlers.span(span.id) });
      }));
    }).filter(Boolean);
  }

  const marked = (sound) => sound.events.filter((event) => event.kind !== "reply" && (event.kind !== "dead_air" || event.seconds > LONG));

  function bands(sound) {
    return [...sound.events.filter((event) => event.kind === "reply"), ...marked(sound)].map((event) =>
      el("span", { class: `sound-band is-${event.kind} ${event.good === false ? "bad" : event.good ? "good" : ""}`, title: `${WORDS[event.kind]}${known(event.seconds) ? `, ${seconds(event.seconds)}` : ""}`,
        vars: { left: share(event.at, sound), width: share(known(event.seconds) ? event.seconds : sound.seconds - event.at, sound) } },
      event.kind === "reply" ? el("span", { class: "sound-wait num" }, seconds(event.seconds)) : null));
  }

  function axis(sound) {
    const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((one) => sound.seconds / one <= 14) || 1200;
    const ticks = [];
    for (let at = 0; at <= sound.seconds; at += step) ticks.push(el("span", { class: "num", vars: { left: share(at, sound) } }, at < 60 ? `${at} s` : `${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")}`));
    return el("div", { class: "sound-axis", "aria-hidden": "true" }, ticks);
  }

  /** What happened, as a list to read and to jump from. */
  function list(sound, seek, handlers) {
    const rows = marked(sound);
    if (!rows.length) return null;
    return el("ul", { class: "sound-events" }, rows.map((event) => el("li", { class: event.good === false ? "bad" : "" },
      el("button", { type: "button", class: "link num", title: "play from a second before", onclick: () => seek(event.at - 1, true) }, seconds(event.at)),
      ` ${WORDS[event.kind]}${detail(event)}`,
      known(event.turn) ? el("button", { type: "button", class: "link", onclick: () => handlers.turn(event.turn) }, `turn ${event.turn}`) : null)));
  }

  function detail(event) {
    if (event.kind === "barge_in") return known(event.seconds) ? `; it fell silent ${seconds(event.seconds)} later` : "; it never stopped";
    if (["backchannel", "vocal_tic", "aside", "hold_music"].includes(event.kind)) return event.good ? "; the agent let it pass" : `; the agent reacted ${seconds(event.seconds)} later`;
    return known(event.seconds) ? `, ${seconds(event.seconds)}` : "";
  }

  function drawAll(stage, sound) {
    for (const canvas of stage.querySelectorAll("canvas")) draw(canvas, sound[canvas.dataset.who]);
  }

  function draw(canvas, encoded) {
    const peaks = atob(encoded);
    const ratio = Math.min(2, devicePixelRatio || 1);
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    canvas.width = width;
    canvas.height = height;
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).color;
    for (let x = 0; x < width; x += 1) {
      const from = Math.floor((x / width) * peaks.length), to = Math.max(from + 1, Math.floor(((x + 1) / width) * peaks.length));
      let loud = 0;
      for (let at = from; at < to; at += 1) loud = Math.max(loud, peaks.charCodeAt(at));
      const tall = Math.max(ratio, (loud / 255) * height);
      pen.fillRect(x, (height - tall) / 2, 1, tall);
    }
  }
})();

// A recording as a picture of its sound, to seek in by clicks and keys. Without it there are the browser's controls.
// @ts-check

const SVG = "http://www.w3.org/2000/svg";
const TALL = 100;
const STEP = 5; // s, of a key

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.round(seconds || 0); // as the page rounds
  const hours = Math.floor(whole / 3600);
  const rest = `${String(whole % 60).padStart(2, "0")}`;
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** @param {string} name @param {Record<string, string>} attributes @param {Element[]} children */
function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The outline of the sound; a thin line where there is none. @param {number[]} peaks */
function outline(peaks) {
  return peaks
    .map((peak, index) => {
      const high = Math.max(2, Math.min(1, peak) * TALL);
      return `M${index},${(TALL - high) / 2}h0.7v${high}h-0.7z`;
    })
    .join("");
}

/** @param {HTMLElement} box @param {HTMLAudioElement} audio */
function player(box, audio) {
  const words = box.dataset;
  const played = svg("rect", { x: "0", y: "0", width: "0", height: String(TALL) });
  const clip = svg("clipPath", { id: "played" }, played);
  const paths = [svg("path", { class: "rest" }), svg("path", { class: "part", "clip-path": "url(#played)" })];
  const picture = svg("svg", { preserveAspectRatio: "none", "aria-hidden": "true" }, clip, ...paths);
  const wave = document.createElement("div");
  wave.className = "wave";
  wave.tabIndex = 0;
  wave.setAttribute("role", "slider");
  wave.setAttribute("aria-label", words.position ?? "");
  wave.append(picture);
  const play = document.createElement("button");
  play.type = "button";
  const times = document.createElement("span");
  times.className = "clock";
  const speeds = document.createElement("div");
  speeds.className = "speeds";
  speeds.setAttribute("role", "group");
  speeds.setAttribute("aria-label", words.speed ?? "");
  let wide = 200;
  let known = 0; // s, of the waveform: the browser may not know it yet

  /** @param {number[]} peaks */
  function draw(peaks) {
    wide = peaks.length || 1;
    picture.setAttribute("viewBox", `0 0 ${wide} ${TALL}`);
    for (const path of paths) path.setAttribute("d", outline(peaks));
    show();
  }

  const length = () => (Number.isFinite(audio.duration) ? audio.duration : known);

  function show() {
    const [now, all] = [audio.currentTime, length()];
    played.setAttribute("width", String(all ? (now / all) * wide : 0));
    times.textContent = `${clock(now)} / ${clock(all)}`;
    play.textContent = (audio.paused ? words.play : words.pause) ?? "";
    wave.setAttribute("aria-valuemin", "0");
    wave.setAttribute("aria-valuemax", String(Math.round(all)));
    wave.setAttribute("aria-valuenow", String(Math.round(now)));
    wave.setAttribute("aria-valuetext", `${clock(now)} / ${clock(all)}`);
  }

  /** @param {number} to */
  function seek(to) {
    audio.currentTime = Math.min(Math.max(to, 0), length());
    show();
  }

  async function toggle() {
    if (!audio.paused) return audio.pause();
    try {
      await audio.play();
    } catch {
      // told by the element's event
    }
  }

  /** @param {PointerEvent} event */
  function pointed(event) {
    const { left, width } = wave.getBoundingClientRect();
    if (width) seek(((event.clientX - left) / width) * length());
  }

  /** Say instead why there is nothing to hear. @param {string | undefined} text */
  function tell(text) {
    const note = document.createElement("p");
    note.className = "note";
    note.setAttribute("role", "status");
    note.textContent = text ?? "";
    box.replaceChildren(note);
  }

  async function failed() {
    const response = await fetch(audio.currentSrc || audio.src, { method: "HEAD" }).catch(() => null);
    tell(response?.status === 404 ? words.missing : response?.status === 415 ? words.unplayable : response?.ok ? words.unplayable : words.failed);
  }

  for (const speed of [1, 1.5, 2]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = `${speed.toLocaleString(document.documentElement.lang)}×`;
    button.setAttribute("aria-pressed", String(speed === 1));
    button.addEventListener("click", () => {
      audio.playbackRate = speed;
      for (const one of speeds.children) one.setAttribute("aria-pressed", String(one === button));
    });
    speeds.append(button);
  }
  play.addEventListener("click", toggle);
  wave.addEventListener("pointerdown", (event) => {
    wave.setPointerCapture(event.pointerId);
    pointed(event);
  });
  wave.addEventListener("pointermove", (event) => {
    if (wave.hasPointerCapture(event.pointerId)) pointed(event);
  });
  wave.addEventListener("keydown", (event) => {
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowRight: () => seek(audio.currentTime + STEP),
      ArrowUp: () => seek(audio.currentTime + STEP),
      ArrowLeft: () => seek(audio.currentTime - STEP),
      ArrowDown: () => seek(audio.currentTime - STEP),
      PageUp: () => seek(audio.currentTime + 6 * STEP),
      PageDown: () => seek(audio.currentTime - 6 * STEP),
      Home: () => seek(0),
      End: () => seek(length()),
      " ": () => void toggle(),
    };
    const done = event.ctrlKey || event.altKey || event.metaKey ? undefined : keys[event.key];
    if (!done) return;
    event.preventDefault();
    done();
  });
  for (const name of ["timeupdate", "seeked", "play", "pause", "ended", "durationchange"]) audio.addEventListener(name, show);
  audio.addEventListener("error", failed);
  audio.controls = false;
  box.prepend(play, wave, times, speeds);
  draw(new Array(wide).fill(0));
  fetch(words.waveform ?? "")
    .then((response) => (response.status === 404 ? tell(words.missing) : response.ok ? response.json() : null))
    .then((found) => {
      if (!found) return; // the sound may play all the same
      known = found.seconds;
      if (found.peaks.length) draw(found.peaks);
    })
    .catch(() => undefined);
}

for (const box of document.querySelectorAll(".player")) {
  const audio = box.querySelector("audio");
  if (audio && box instanceof HTMLElement) player(box, audio);
}

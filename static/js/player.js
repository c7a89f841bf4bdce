// Players of recordings: see templates/console/player.html. Each of them sends the event `heard`
// once, after two seconds of its recording have been played.

const HEARD_SECONDS = 2;
const SMALL_STEP = 1; // seconds, of an arrow key
const BIG_STEP = 5; // in recordings of at least LONG seconds
const LONG = 30;
const STEPS = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  Home: -Infinity,
  End: Infinity,
};

function formatTime(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function sumPlayed({ played }) {
  let seconds = 0;
  for (let part = 0; part < played.length; part++) seconds += played.end(part) - played.start(part);
  return seconds;
}

function startPlayer(player) {
  const find = (selector) => player.querySelector(selector);
  const audio = find("audio");
  const controls = find(".controls");
  const waveform = find(".waveform");
  const play = find(".play");
  const speeds = player.querySelectorAll("[data-speed]");
  let isHeard = false;
  if (!controls.hidden) return; // it has been started

  // The server's length is in whole seconds. The exact one is known once the recording is loaded.
  const getLength = () => audio.duration || Number(player.dataset.seconds);

  function show() {
    const [now, length] = [audio.currentTime, getLength()];
    player.style.setProperty("--played", length ? Math.min(now / length, 1) : 0);
    find(".now").textContent = formatTime(now);
    const text = player.dataset.position.replace("%n", formatTime(now));
    waveform.setAttribute("aria-valuenow", Math.floor(now));
    waveform.setAttribute("aria-valuetext", text.replace("%m", find(".length").textContent));
  }

  function showState() {
    play.classList.toggle("playing", !audio.paused);
    play.setAttribute("aria-label", audio.paused ? play.dataset.play : play.dataset.pause);
  }

  function toggle() {
    // A recording that cannot be played sends the event `error` too.
    if (audio.paused) audio.play().catch(() => {});
    else audio.pause();
  }

  function seek(seconds) {
    audio.currentTime = Math.min(Math.max(seconds, 0), getLength());
    show();
  }

  function seekTo({ clientX }) {
    const { left, width } = waveform.getBoundingClientRect();
    seek(((clientX - left) / width) * getLength());
  }

  // If the session has ended, the recording's address leads to the sign-in page, as the page does.
  async function showError() {
    const answer = await fetch(audio.src, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect") location.reload();
    else find(".error").hidden = false;
  }

  function noticeHearing() {
    if (isHeard || sumPlayed(audio) < Math.min(HEARD_SECONDS, 0.9 * getLength())) return;
    isHeard = true;
    player.dispatchEvent(new CustomEvent("heard", { bubbles: true }));
  }

  audio.controls = false;
  controls.hidden = false;

  audio.addEventListener("timeupdate", show);
  audio.addEventListener("timeupdate", noticeHearing);
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showState);
  audio.addEventListener("error", showError);

  play.addEventListener("click", toggle);
  waveform.addEventListener("pointerdown", (event) => {
    waveform.setPointerCapture(event.pointerId);
    seekTo(event);
  });
  waveform.addEventListener("pointermove", (event) => {
    if (event.buttons) seekTo(event);
  });
  controls.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (STEPS[key]) seek(audio.currentTime + STEPS[key] * (getLength() < LONG ? SMALL_STEP : BIG_STEP));
    else if (key === " " && target === waveform) toggle();
    else return;
    event.preventDefault();
  });
  for (const button of speeds) {
    button.addEventListener("click", () => {
      audio.defaultPlaybackRate = audio.playbackRate = Number(button.dataset.speed);
      for (const each of speeds) each.setAttribute("aria-pressed", each === button);
    });
  }
  // A sentence of the transcription, which may arrive later than the player.
  document.addEventListener("click", (event) => {
    const sentence = event.target.closest("[data-seek]");
    if (!sentence?.href.startsWith(audio.src) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    seek(Number(sentence.dataset.seek));
    audio.play().catch(() => {});
  });
  show();
}

// Only one recording is heard at a time.
document.addEventListener(
  "play",
  ({ target }) => {
    for (const audio of document.querySelectorAll("audio")) if (audio !== target) audio.pause();
  },
  true,
);

function startPlayers(root) {
  for (const player of root.querySelectorAll(".player")) startPlayer(player);
}

startPlayers(document);
document.addEventListener("htmx:load", ({ detail }) => startPlayers(detail.elt));

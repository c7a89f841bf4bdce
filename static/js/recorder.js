// Records with the microphone into the file field of a form, and takes files that are dropped on the
// form: see templates/console/sound_audio_fields.html.

// The first that the browser knows: Chromium and Firefox have WebM or Ogg, Safari has MP4.
const TYPES = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/ogg;codecs=opus", "ogg"],
  ["audio/mp4", "m4a"],
];

function formatTime(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

// Put the file into the field, or none, and tell the page that the form has changed.
function setFile(field, file) {
  const files = new DataTransfer();
  if (file) files.items.add(file);
  field.files = files.files;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

function startRecorder(recorder, field) {
  const find = (selector) => recorder.querySelector(selector);
  const [start, stop, meter, clock] = [".start", ".stop", "meter", ".clock"].map(find);
  const [recorded, error] = [".recorded", ".error"].map(find);
  const most = Number(recorder.dataset.seconds);
  const type = TYPES.find(([name]) => window.MediaRecorder?.isTypeSupported(name));
  if (!type || !navigator.mediaDevices) return; // a page without HTTPS has no microphone

  function show(isRecording) {
    start.hidden = isRecording;
    for (const part of [stop, meter, clock]) part.hidden = !isRecording;
  }

  function showRecorded(file) {
    const audio = recorded.querySelector("audio");
    if (audio.src) URL.revokeObjectURL(audio.src);
    if (file) audio.src = URL.createObjectURL(file);
    else audio.removeAttribute("src");
    recorded.hidden = !file;
  }

  // Show the level and the time until the recording stops. The level is the loudest sample.
  function watch(stream, recording) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const begin = performance.now();
    function look() {
      const seconds = (performance.now() - begin) / 1000;
      analyser.getFloatTimeDomainData(samples);
      meter.value = samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0);
      find(".now").textContent = formatTime(Math.min(seconds, most));
      if (recording.state === "inactive") context.close();
      else if (seconds >= most) recording.stop();
      else setTimeout(look, 50);
    }
    look();
  }

  async function record() {
    error.hidden = true;
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true }).catch(() => null);
    if (!stream) {
      error.hidden = false;
      return;
    }
    showRecorded(null);
    const recording = new MediaRecorder(stream, { mimeType: type[0] });
    const parts = [];
    recording.addEventListener("dataavailable", ({ data }) => parts.push(data));
    recording.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      const name = `${recorder.dataset.name} ${new Date().toLocaleString("sv").replaceAll(":", ".")}`;
      const file = new File(parts, `${name}.${type[1]}`, { type: type[0].split(";")[0] });
      setFile(field, file);
      showRecorded(file);
      show(false);
      start.focus();
    });
    recording.start();
    show(true);
    stop.focus();
    stop.onclick = () => recording.stop();
    watch(stream, recording);
  }

  find(".most").textContent = formatTime(most);
  recorder.hidden = false;
  start.addEventListener("click", record);
  find(".discard").addEventListener("click", () => {
    setFile(field, null);
    showRecorded(null);
    start.focus();
  });
  // Another file was chosen.
  field.addEventListener("change", ({ isTrusted }) => isTrusted && showRecorded(null));
}

for (const area of document.querySelectorAll("[data-drop]")) {
  const field = area.querySelector("input[type=file]");
  startRecorder(area.querySelector(".recorder"), field);
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) setFile(field, file);
  });
}

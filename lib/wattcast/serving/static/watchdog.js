// A timer that notices silence.

const SILENCE_MS = 40000; // the server sends a heartbeat every 15 s

/** Calls `onSilence` when it was not restarted for SILENCE_MS. */
export function watchdog(onSilence) {
  let timer = setTimeout(onSilence, SILENCE_MS);
  const stop = () => clearTimeout(timer);
  const restart = () => {
    stop();
    timer = setTimeout(onSilence, SILENCE_MS);
  };
  return { restart, stop };
}

"use strict";
/* Two calls to listen to: one plays at a time, and the other goes on from the same second. */
(() => {
  const [first, second] = document.querySelectorAll(".beside audio");
  const button = document.querySelector(".beside .other");
  if (!second) return;
  let playing = first;
  for (const audio of [first, second]) {
    audio.addEventListener("play", () => { playing = audio; (audio === first ? second : first).pause(); });
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    const other = playing === first ? second : first;
    other.currentTime = Math.min(playing.currentTime, other.duration || playing.currentTime);
    other.play();
  });
})();

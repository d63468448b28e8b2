// The live stream: follows it, says how it stands, and comes back after it was lost.

const AGAIN_MS = 1000;
const AGAIN_MS_MAX = 10000;

/*
 * read() shows everything anew; it runs whenever the stream opened, for what happened before is not repeated.
 * What happens while it runs waits for it.
 */
export function follow({msisdn, read, text, cleared, call = () => {}}) {
  const query = msisdn ? `?msisdn=${encodeURIComponent(msisdn)}` : "";
  let pause = AGAIN_MS;

  function connect() {
    const stream = new EventSource(`/sim/events${query}`);
    let caughtUp = Promise.resolve();
    const then = (handle) => (event) => {
      caughtUp = caughtUp.then(() => handle(JSON.parse(event.data)));
    };
    const lost = () => {
      stream.close();
      tell("lost", "Connection lost, trying again");
      setTimeout(connect, pause);
      pause = Math.min(pause * 2, AGAIN_MS_MAX);
    };
    stream.addEventListener("text", then(text));
    stream.addEventListener("cleared", then(cleared));
    stream.addEventListener("call", then(call));
    stream.addEventListener("error", lost, {once: true});
    stream.addEventListener("open", () => {
      caughtUp = read().then(() => {
        pause = AGAIN_MS;
        tell("live", "Live");
      }, lost);
    });
  }
  connect();
}

export async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

function tell(state, words) {
  const line = document.getElementById("line");
  line.dataset.state = state;
  if (line.textContent !== words) line.textContent = words;
}

/** Words between a benchmark's page and its Python side: JSON over a WebSocket of their own. */

/** @returns {Promise<{tell: (message: object) => void, next: (type: string) => Promise<any>}>} */
export async function openControl() {
  const socket = new WebSocket(`ws://${location.host}/control`);
  const arrived = [];
  let wake = () => {};
  socket.onmessage = ({ data }) => {
    arrived.push(JSON.parse(data));
    wake();
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const tell = (message) => socket.send(JSON.stringify(message));
  addEventListener("error", ({ message }) => tell({ type: "error", message }));
  addEventListener("unhandledrejection", ({ reason }) => tell({ type: "error", message: String(reason) }));
  return {
    tell,
    async next(type) {
      while (arrived.length === 0) await new Promise((resolve) => (wake = resolve));
      const message = arrived.shift();
      if (message.type !== type) throw new Error(`${type} was expected, not ${message.type}`);
      return message;
    },
  };
}

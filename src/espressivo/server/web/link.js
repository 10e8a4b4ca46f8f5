// Link: the WebSocket to the server, which comes back by itself when it is lost.

const FIRST_MS = 300, LONGEST_MS = 5000;

export class Link {
  // `on` has a function for each type of message, and `opened`, `lost` and `bytes`.
  constructor(on) {
    this.on = on;
    this.waitMs = FIRST_MS;
    this.#open();
    // A page that is left may be kept by the browser, and its connection with it.
    addEventListener("pagehide", () => this.socket.close());
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  // Send a message if there is a connection; tells whether there is.
  send(type, fields = {}) {
    if (this.open) this.socket.send(JSON.stringify({ type, ...fields }));
    return this.open;
  }

  sendBytes(data) {
    if (this.open) this.socket.send(data);
    return this.open;
  }

  #open() {
    const socket = new WebSocket(`ws://${location.host}/play`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) {
        this.on.bytes(data);
        return;
      }
      const { type, ...fields } = JSON.parse(data);
      if (type === "hello") this.waitMs = FIRST_MS;
      this.on[type]?.(fields);
    };
    socket.onclose = () => {
      this.on.lost();
      setTimeout(() => this.#open(), this.waitMs);
      this.waitMs = Math.min(2 * this.waitMs, LONGEST_MS);
    };
    this.socket = socket;
  }
}

// The search runs in a worker, which a page that was opened from a folder may not start. There, a hidden frame takes
// the worker's place: the same script, the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.ready = new Promise((resolve) => {
        const attach = () => {
          document.body.append(this.frame);
          const inner = this.frame.contentWindow;
          inner.postMessage = (data) => this.answer(data);
          inner.importScripts = (...paths) => paths.reduce((before, path) => before.then(() => load(inner, path)), Promise.resolve());
          load(inner, url).then(() => resolve(inner));
        };
        document.body ? attach() : addEventListener("DOMContentLoaded", attach);
      });
    }
    answer(data) {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      if (this.onmessage) this.onmessage(event);
    }
    postMessage(data) {
      this.ready.then((inner) => inner.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.frame.remove();
    }
  };
}

function load(inner, path) {
  return new Promise((resolve, reject) => {
    const script = inner.document.createElement("script");
    script.src = new URL(path, location.href).href;
    script.onload = resolve;
    script.onerror = reject;
    inner.document.body.append(script);
  });
}

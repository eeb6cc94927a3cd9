// The way of one file to the portal, by the protocol tus 1.0 (models_catalog/upload_api.py): it goes on
// after a lost connection and a restart of the portal, and sends less at once where a proxy wants that.

export const API = "/api/v1/";
const OCTETS = "application/offset+octet-stream";
const TUS = { "Tus-Resumable": "1.0.0" };
const FIRST_BYTES = 2 ** 20; // what nginx takes where nobody says otherwise
const LEAST_BYTES = 2 ** 17;
const SHORT_S = 10; // a request that takes less is followed by a larger one
const LONG_S = 30; // one that is cut off may have been in vain, so none should take longer
const SILENT_S = 60; // without a byte for so long a connection is taken for lost
const STORING_S = 240; // the last request is answered when the portal has stored the whole
const ASKING_S = 30;
const MOST_WAIT_S = 30;

// What one request carries: found out once for all files of the page.
const piece = { size: FIRST_BYTES, most: 32 * 2 ** 20 };

// It is not done, and another try does not help. `errors`: sentences by field.
export class Refused extends Error {
  constructor(text, errors = {}) {
    super(text);
    this.errors = errors;
  }
}
export class Stopped extends Error {}
export class Unreadable extends Error {}

// Something that may go by: a lost connection (status 0), or an answer that says so.
export class Failure extends Error {
  constructor(status, problem = {}, after = 0) {
    super(problem.detail ?? "");
    this.status = status;
    this.code = (problem.type ?? "").split("/").pop();
    this.after = after;
  }
}

async function failure(answer) {
  const json = /\bjson\b/.test(answer.headers.get("Content-Type") ?? "");
  const problem = json ? await answer.json().catch(() => ({})) : {};
  return new Failure(answer.status, problem, Number(answer.headers.get("Retry-After")) || 0);
}

// Whose requests these are: the token against forged ones changes when somebody logs in again.
export class Session {
  constructor(form) {
    this.form = form;
  }

  get headers() {
    return {
      "Accept-Language": document.documentElement.lang,
      "X-CSRFToken": this.form.elements.csrfmiddlewaretoken.value,
    };
  }

  // Take the token of now; false where nobody is logged in. Raises what fetch raises.
  async renew() {
    const answer = await fetch(window.location.href);
    if (!answer.ok || new URL(answer.url).pathname === "/login/") return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const token = page.querySelector("#upload [name=csrfmiddlewaretoken]");
    if (!token) return false;
    this.form.elements.csrfmiddlewaretoken.value = token.value;
    return true;
  }

  // The answer to a request; raises Failure where it is no success, but for those `also`.
  async ask(method, address, { body, headers = {}, signal, also = [] } = {}) {
    const ends = new AbortController();
    const timer = setTimeout(() => ends.abort(), ASKING_S * 1000);
    const stop = () => ends.abort();
    signal?.addEventListener("abort", stop);
    try {
      const answer = await fetch(address, {
        method, body, headers: { ...this.headers, ...headers }, signal: ends.signal, redirect: "error",
      });
      if (!answer.ok && !also.includes(answer.status)) throw await failure(answer);
      return answer;
    } catch (error) {
      if (signal?.aborted) throw new Stopped();
      if (error instanceof Failure) throw error;
      throw new Failure(0);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  async get(address, signal) {
    const answer = await this.ask("GET", address, { signal });
    try {
      return await answer.json();
    } catch {
      throw signal?.aborted ? new Stopped() : new Failure(0);
    }
  }
}

// `begin()` gives the id of a new upload. `told` has functions for what happens: progress(),
// storing(), waits({ error, seconds }) and loggedOut(); and in `words` some for sentences.
export class Transfer {
  constructor({ session, file, id = "", kept = 0, begin, told }) {
    Object.assign(this, { session, file, id, kept, begin, told });
    this.sent = kept;
    this.stopping = new AbortController();
    this.wake = () => {};
  }

  stop() {
    this.sent = this.kept;
    this.stopping.abort();
    this.wake();
  }

  // Bytes in a second, of the last ten seconds; 0: not known.
  get speed() {
    const [[from, before]] = this.seen?.length ? this.seen : [[0, 0]];
    const seconds = (performance.now() - from) / 1000;
    return this.seen?.length > 1 && seconds > 0.5 ? (this.sent - before) / seconds : 0;
  }

  // The version that was made of the file, as { model, number }. Raises Refused, Stopped, Unreadable.
  async run() {
    let failures = 0;
    let renewed = false;
    for (;;) {
      const before = this.kept;
      try {
        const made = await this.#step();
        if (made) return made;
        if (this.kept > before) [failures, renewed] = [0, false];
      } catch (error) {
        if (this.stopping.signal.aborted) throw new Stopped();
        if (!(error instanceof Failure)) throw error;
        this.sent = this.kept;
        if (this.kept > before) [failures, renewed] = [0, false];
        if (await this.#isOver(error)) continue;
        if ([401, 403].includes(error.status) && !renewed) {
          renewed = true;
          await this.#logIn();
          continue;
        }
        if (error.status === 403) throw new Refused(error.message || this.told.words.notAllowed());
        renewed = false;
        await this.#wait(error, failures);
        failures += 1;
      }
    }
  }

  async #step() {
    const { signal } = this.stopping;
    if (!this.id) {
      this.id = await this.begin(signal);
      this.kept = 0;
      this.own = true;
    }
    const now = await this.session.get(`${API}uploads/${this.id}`, signal);
    this.kept = this.sent = now.offset;
    if (now.made) return now.made;
    if (now.problem) throw new Refused(now.problem);
    this.seen = [];
    if (now.offset < now.length) {
      while (this.kept < this.file.size) await this.#send();
    } else {
      this.told.storing();
      await this.#sleep(1);
    }
    return null;
  }

  async #send() {
    const { kept } = this;
    const size = Math.min(piece.size, this.file.size - kept);
    const began = performance.now();
    const request = await this.#patch(this.file.slice(kept, kept + size));
    const offset = Number(request.getResponseHeader("Upload-Offset"));
    if (!(offset > kept)) throw new Failure(request.status);
    this.kept = this.sent = offset;
    const seconds = (performance.now() - began) / 1000;
    if (size === piece.size && seconds < SHORT_S) piece.size = Math.min(piece.most, 4 * size);
    if (seconds > LONG_S) piece.size = Math.max(LEAST_BYTES, Math.ceil(size / 4));
  }

  #patch(body) {
    const request = new XMLHttpRequest(); // fetch tells no progress of what it sends
    const { signal } = this.stopping;
    return new Promise((done, fail) => {
      let timer = null;
      const expect = (seconds) => {
        clearTimeout(timer);
        timer = setTimeout(() => request.abort(), seconds * 1000);
      };
      const stop = () => request.abort();
      signal.addEventListener("abort", stop);
      request.open("PATCH", `${API}uploads/${this.id}`);
      const headers = { ...TUS, ...this.session.headers, "Upload-Offset": this.kept, "Content-Type": OCTETS };
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (step) => {
        expect(SILENT_S);
        this.sent = this.kept + step.loaded;
        const now = performance.now();
        this.seen = [...this.seen.filter(([at]) => now - at < 10_000), [now, this.sent]];
        this.told.progress();
      });
      request.upload.addEventListener("load", () => {
        expect(STORING_S);
        if (this.kept + body.size === this.file.size) this.told.storing();
      });
      request.addEventListener("loadend", () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        if (request.status >= 200 && request.status < 300) {
          done(request);
          return;
        }
        let problem = {};
        try {
          if (/\bjson\b/.test(request.getResponseHeader("Content-Type") ?? "")) problem = JSON.parse(request.responseText);
        } catch { /* cut off */ }
        const found = new Failure(request.status, problem, Number(request.getResponseHeader("Retry-After")) || 0);
        found.size = body.size;
        fail(found);
      });
      expect(SILENT_S);
      request.send(body);
    });
  }

  // Whether the next request can be sent at once, as another one than before.
  async #isOver(error) {
    const smaller = Math.max(LEAST_BYTES, Math.ceil((error.size ?? 0) / 4));
    if (error.status === 413 && !error.code && error.size > LEAST_BYTES) {
      piece.size = piece.most = smaller;
      return true;
    }
    if (error.status === 413) throw new Refused(error.message || this.told.words.tooSmall(error.size));
    if ((error.status === 404 || error.status === 410) && this.own) {
      this.own = false; // once: the portal has forgotten it
      this.id = "";
      return true;
    }
    const passing = [0, 401, 403, 408, 409, 423, 425, 429];
    const final = error.status < 500 && !passing.includes(error.status);
    if (final || error.code === "conflict") {
      throw new Refused(error.message || this.told.words.failed(error.status));
    }
    if (error.status === 0 && error.size) {
      try {
        await this.file.slice(this.kept, this.kept + 1).arrayBuffer();
      } catch {
        throw new Unreadable();
      }
      // A proxy may close the connection before a browser can read its 413.
      if (error.size > FIRST_BYTES) piece.most = Math.max(FIRST_BYTES, smaller);
      piece.size = smaller;
    }
    return false;
  }

  async #logIn() {
    for (;;) {
      try {
        if (await this.session.renew()) return;
        this.told.loggedOut();
      } catch {
        return; // the portal does not answer, which the next request finds
      }
      await this.#sleep(15, ["focus"]);
    }
  }

  async #wait(error, failures) {
    const quick = ["wrong-offset", "upload-locked"].includes(error.code) && failures < 4;
    const seconds = Math.min(MOST_WAIT_S, Math.max(error.after, quick ? 1 : 2 ** failures));
    // By the clock: in a page that nobody looks at, a second of sleep may take a minute.
    const until = performance.now() + 1000 * seconds;
    while (!this.hurried) {
      const left = Math.ceil((until - performance.now()) / 1000);
      if (left <= 0) break;
      if (!quick) this.told.waits({ error, seconds: left });
      await this.#sleep(1, ["online"]);
    }
    this.hurried = false;
    if (!quick) this.told.waits({ error, seconds: 0 });
  }

  hurry() {
    this.hurried = true;
    this.wake();
  }

  // Raises Stopped. An event of the window ends it, too.
  async #sleep(seconds, events = []) {
    await new Promise((done) => {
      const end = (event) => {
        if (event) this.hurried = true;
        done();
      };
      this.wake = done;
      for (const name of events) window.addEventListener(name, end, { once: true });
      setTimeout(() => {
        for (const name of events) window.removeEventListener(name, end);
        done();
      }, 1000 * seconds);
    });
    if (this.stopping.signal.aborted) throw new Stopped();
  }
}

// Forget an upload; raises Failure. While its last request is still taken in, it is asked again.
export async function forget(session, id) {
  for (let tries = 0; ; tries += 1) {
    try {
      const also = [404, 410];
      await session.ask("DELETE", `${API}uploads/${id}`, { headers: TUS, also });
      return;
    } catch (error) {
      if (error.status === 403 && tries < 1) await session.renew().catch(() => false);
      else if (!(error.status === 423 || error.status === 0) || tries > 9) throw error;
      await new Promise((done) => { setTimeout(done, 1000); });
    }
  }
}

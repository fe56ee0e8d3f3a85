import { filterBytes, type Keeps } from "./listFilter.js";

/** Bounds what is held in memory of one event. */
const maxEvent = 16 * 2 ** 20;

/**
 * Filters lists in a stream of server-sent events. Complete events go on at once; those without a list exactly as
 * they came, comments that keep the connection alive among them. Bytes are held as text of one character each, so
 * that nothing is lost.
 */
export class EventFilter {
  readonly #keeps: Keeps;
  #event = ""; // the event so far, as it came
  #line = 0; // where its current line begins
  #cr = false; // the last byte was a carriage return that ended a line; a line feed may still belong to it
  #sent = false; // that line has already gone on
  #dropped = false; // and in another form, so the line feed must not follow it

  constructor(keeps: Keeps) {
    this.#keeps = keeps;
  }

  /**
   * Takes the next bytes and returns what can go on. Throws when an event cannot be filtered: nothing after it may
   * go on.
   */
  feed(chunk: Uint8Array): Buffer {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
    let out = "";
    for (let i = 0; i < bytes.length;) {
      if (this.#cr) {
        this.#cr = false;
        if (bytes.charAt(i) === "\n") {
          out += this.#lineFeed();
          i++;
          continue;
        }
      }
      this.#sent = this.#dropped = false;
      const end = lineEnd(bytes, i);
      this.#event += bytes.slice(i, end);
      if (this.#event.length > maxEvent) {
        throw new Error("an event is too large to filter");
      }
      i = end;
      const last = bytes.charAt(end - 1);
      if (last === "\n" || last === "\r") {
        this.#cr = last === "\r";
        out += this.#endLine();
      }
    }
    return Buffer.from(out, "latin1");
  }

  /**
   * Returns what is left when the stream ends in the middle of an event. Some clients read it, so it is filtered
   * too.
   */
  end(): Buffer {
    return Buffer.from(this.#take().out, "latin1");
  }

  /** The second half of a line end belongs to the line that the carriage return ended. */
  #lineFeed(): string {
    if (this.#dropped) {
      return "";
    }
    if (this.#sent) {
      return "\n";
    }
    this.#event += "\n";
    this.#line++;
    return "";
  }

  /**
   * Closes the current line. An empty one ends the event; a comment goes on at once when it is all there is so far.
   */
  #endLine(): string {
    const isEmpty = this.#event.length - 1 === this.#line;
    const isComment = this.#line === 0 && this.#event.startsWith(":");
    this.#line = this.#event.length;
    if (!isEmpty && !isComment) {
      return "";
    }
    const { out, changed } = this.#take();
    this.#sent = true;
    this.#dropped = changed;
    return out;
  }

  #take(): { out: string; changed: boolean } {
    const event = this.#event;
    this.#event = "";
    this.#line = 0;
    const same = { out: event, changed: false };
    if (!/tools|prompts|resource|\\u/.test(event)) {
      return same;
    }
    // The stream may begin with a byte order mark.
    const lines = event
      .replace(/^\xef\xbb\xbf/, "")
      .split(/[\r\n]+/)
      .filter((line) => line !== "");
    const data = trimmed(
      lines
        .map(dataOf)
        .filter((value) => value !== undefined)
        .join("\n"),
    );
    if (!data.startsWith("{") && !data.startsWith("[")) {
      return same;
    }
    const filtered = Buffer.from(filterBytes(Buffer.from(data, "latin1"), this.#keeps), "utf8").toString("latin1");
    return filtered === data ? same : { out: rewritten(lines, filtered), changed: true };
  }
}

/** The position after the next line end, or the end. */
function lineEnd(bytes: string, from: number): number {
  for (let i = from; i < bytes.length; i++) {
    const c = bytes.charCodeAt(i);
    if (c === 0x0a || c === 0x0d) {
      return i + 1;
    }
  }
  return bytes.length;
}

/** Without JSON's white space around. Not by a regular expression: those are slow on long runs of spaces within. */
function trimmed(text: string): string {
  const isSpace = (at: number): boolean => " \t\r\n".includes(text.charAt(at));
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(start)) {
    start++;
  }
  while (end > start && isSpace(end - 1)) {
    end--;
  }
  return text.slice(start, end);
}

/** The value of a data line. */
function dataOf(line: string): string | undefined {
  return line === "data" ? "" : line.startsWith("data:") ? line.slice(5).replace(/^ /, "") : undefined;
}

/** The event again with other data, in the place of the first data line. */
function rewritten(lines: readonly string[], data: string): string {
  let out = "";
  let placed = false;
  for (const line of lines) {
    if (dataOf(line) === undefined) {
      out += line + "\n";
    } else if (!placed) {
      placed = true;
      out += data
        .split("\n")
        .map((part) => "data: " + part + "\n")
        .join("");
    }
  }
  return out + "\n";
}

// A body is decided on here and then read again by the MCP server, perhaps by another parser. Whatever two JSON
// parsers could read differently is therefore refused, not interpreted: duplicate keys (first or last wins?), lone
// surrogates in keys, invalid UTF-8, byte order marks, several values in a row, nesting that only some parsers
// survive. JSON.parse cannot say these things: it takes the last of two keys and lone surrogates without a word.

import { isUtf8 } from "node:buffer";

/** Says why a text is not strict JSON. */
export class JSONProblem extends Error {}

const syntax = "the body is not valid JSON";
const duplicate = "the body repeats a key within an object";
const depthLimit = "the body is nested too deeply";
const unicode = "the body contains text that is not valid Unicode";

/** Decodes UTF-8, or throws a JSONProblem. A byte order mark stays, to be refused as what it is. */
export function decodeUTF8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) {
    throw new JSONProblem(unicode);
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Accepts exactly one strict JSON value (RFC 8259) nested at most maxDepth levels, or throws a JSONProblem. */
export function checkJSON(text: string, maxDepth: number): void {
  const checker = new Checker(text, maxDepth);
  checker.value(0);
  checker.space();
  if (checker.at !== text.length) {
    throw new JSONProblem(syntax);
  }
}

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const colon = 0x3a;
const comma = 0x2c;

function isSpace(c: number): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}

/** From where a set finds duplicates faster than looking at all keys, and cannot be made quadratic. */
const manyKeys = 16;

class Checker {
  at = 0;
  readonly #text: string;
  readonly #maxDepth: number;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  space(): void {
    while (isSpace(this.#text.charCodeAt(this.at))) {
      this.at++;
    }
  }

  /** Skips space and consumes one character if it is c. */
  #next(c: number): boolean {
    this.space();
    if (this.#text.charCodeAt(this.at) !== c) {
      return false;
    }
    this.at++;
    return true;
  }

  value(depth: number): void {
    this.space();
    switch (this.#text.charCodeAt(this.at)) {
      case openBrace:
        this.#enter(depth);
        this.#object(depth + 1);
        return;
      case openBracket:
        this.#enter(depth);
        this.#array(depth + 1);
        return;
      case quote:
        this.#string();
        return;
      case 0x74:
        this.#literal("true");
        return;
      case 0x66:
        this.#literal("false");
        return;
      case 0x6e:
        this.#literal("null");
        return;
      default:
        this.#number();
    }
  }

  #enter(depth: number): void {
    if (depth >= this.#maxDepth) {
      throw new JSONProblem(depthLimit);
    }
    this.at++;
  }

  #array(depth: number): void {
    if (this.#next(closeBracket)) {
      return;
    }
    do {
      this.value(depth);
    } while (this.#more(closeBracket));
  }

  /** Says whether another element follows, or consumes the end. */
  #more(end: number): boolean {
    if (this.#next(end)) {
      return false;
    }
    if (!this.#next(comma)) {
      throw new JSONProblem(syntax);
    }
    return true;
  }

  #object(depth: number): void {
    if (this.#next(closeBrace)) {
      return;
    }
    const keys: string[] = [];
    let many: Set<string> | undefined;
    do {
      this.space();
      const key = this.#key();
      if (many?.has(key) ?? keys.includes(key)) {
        throw new JSONProblem(duplicate);
      }
      keys.push(key);
      many?.add(key);
      if (keys.length === manyKeys) {
        many = new Set(keys);
      }
      if (!this.#next(colon)) {
        throw new JSONProblem(syntax);
      }
      this.value(depth);
    } while (this.#more(closeBrace));
  }

  /** A key as the text it stands for. */
  #key(): string {
    const start = this.at;
    if (!this.#string()) {
      return this.#text.slice(start + 1, this.at - 1);
    }
    const key = JSON.parse(this.#text.slice(start, this.at)) as string;
    if (!key.isWellFormed()) {
      throw new JSONProblem(unicode);
    }
    return key;
  }

  /** Consumes a string and says whether it has escapes. */
  #string(): boolean {
    const text = this.#text;
    if (text.charCodeAt(this.at) !== quote) {
      throw new JSONProblem(syntax);
    }
    let escaped = false;
    for (this.at++; this.at < text.length; this.at++) {
      const c = text.charCodeAt(this.at);
      if (c === quote) {
        this.at++;
        return escaped;
      }
      if (c < 0x20) {
        break;
      }
      if (c === backslash) {
        escaped = true;
        this.#escape();
      }
    }
    throw new JSONProblem(syntax);
  }

  /** Checks what follows a backslash and stops on its last character. */
  #escape(): void {
    this.at++;
    const c = this.#text.charAt(this.at);
    if (c === "u") {
      if (!/^[0-9a-fA-F]{4}$/.test(this.#text.slice(this.at + 1, this.at + 5))) {
        throw new JSONProblem(syntax);
      }
      this.at += 4;
    } else if (c === "" || !'"\\/bfnrt'.includes(c)) {
      throw new JSONProblem(syntax);
    }
  }

  #literal(word: string): void {
    if (!this.#text.startsWith(word, this.at)) {
      throw new JSONProblem(syntax);
    }
    this.at += word.length;
  }

  #number(): void {
    this.#oneOf("-");
    if (!this.#oneOf("0")) {
      this.#digits();
    }
    if (this.#oneOf(".")) {
      this.#digits();
    }
    if (this.#oneOf("eE")) {
      this.#oneOf("+-");
      this.#digits();
    }
  }

  #oneOf(set: string): boolean {
    if (this.at < this.#text.length && set.includes(this.#text.charAt(this.at))) {
      this.at++;
      return true;
    }
    return false;
  }

  #digits(): void {
    const start = this.at;
    while (isDigit(this.#text.charCodeAt(this.at))) {
      this.at++;
    }
    if (this.at === start) {
      throw new JSONProblem(syntax);
    }
  }
}

/** The text of a JSON value if it is a string that every language reads alike. */
export function textOf(value: string): string | undefined {
  if (!value.startsWith('"')) {
    return undefined;
  }
  const text = value.includes("\\") ? (JSON.parse(value) as string) : value.slice(1, -1);
  return text.isWellFormed() ? text : undefined;
}

// The walkers below read a text that checkJSON has accepted; positions are offsets into the whole of it, so that an
// answer can be edited in place.

/** The first position at or after i that is not space. */
export function skipSpace(text: string, i: number): number {
  while (isSpace(text.charCodeAt(i))) {
    i++;
  }
  return i;
}

/** The position after the value at i. */
export function skipValue(text: string, i: number): number {
  const first = text.charCodeAt(i);
  if (first === quote) {
    return skipString(text, i);
  }
  if (first !== openBrace && first !== openBracket) {
    while (i < text.length && !",]} \t\r\n".includes(text.charAt(i))) {
      i++;
    }
    return i;
  }
  for (let depth = 0; ;) {
    const c = text.charCodeAt(i);
    if (c === quote) {
      i = skipString(text, i);
      continue;
    }
    if (c === openBrace || c === openBracket) {
      depth++;
    } else if (c === closeBrace || c === closeBracket) {
      depth--;
    }
    i++;
    if (depth === 0) {
      return i;
    }
  }
}

function skipString(text: string, i: number): number {
  for (i++; text.charCodeAt(i) !== quote; i++) {
    if (text.charCodeAt(i) === backslash) {
      i++;
    }
  }
  return i + 1;
}

/** Calls f with every key of the object at i and the range of its value. */
export function eachMember(text: string, i: number, f: (key: string, start: number, end: number) => void): void {
  i = skipSpace(text, i + 1);
  while (text.charCodeAt(i) !== closeBrace) {
    let end = skipString(text, i);
    const key = textOf(text.slice(i, end)) ?? "";
    const start = skipSpace(text, skipSpace(text, end) + 1);
    end = skipValue(text, start);
    f(key, start, end);
    i = skipSpace(text, end);
    if (text.charCodeAt(i) === comma) {
      i = skipSpace(text, i + 1);
    }
  }
}

/** Calls f with the range of every element of the array at i. */
export function eachElement(text: string, i: number, f: (start: number, end: number) => void): void {
  i = skipSpace(text, i + 1);
  while (text.charCodeAt(i) !== closeBracket) {
    const end = skipValue(text, i);
    f(i, end);
    i = skipSpace(text, end);
    if (text.charCodeAt(i) === comma) {
      i = skipSpace(text, i + 1);
    }
  }
}

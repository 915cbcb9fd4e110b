// WhatsApp's marks, as nodes. Text from outside only ever becomes text nodes, never markup.

import { element } from "/dom.js";

/** The nodes that show `text` with its marks: code blocks, lists, quotes, *bold*, _italic_, ~strike~ and `code`. */
export function marked(text) {
  // Even pieces stand outside code blocks, odd ones inside; an unclosed block is plain text.
  const pieces = text.split("```");
  if (pieces.length % 2 === 0) pieces.push(`\`\`\`${pieces.pop()}`);
  return pieces.flatMap((piece, place) => {
    if (place % 2 === 1) return [element("pre", [piece.replace(/^\n|\n$/g, "")])];
    return blocks(place > 0 ? piece.replace(/^\n/, "") : piece);
  });
}

const LINE_KINDS = [
  { block: "ul", pattern: /^\s*[-*•]\s+(.*)$/ },
  { block: "ol", pattern: /^\s*(\d{1,3})[.)]\s+(.*)$/ },
  { block: "blockquote", pattern: /^>\s?(.*)$/ },
];

function blocks(text) {
  const nodes = [];
  let open = null;
  let plain = [];
  const flush = () => {
    // One paragraph per run of lines: the style sheet keeps its line breaks.
    const run = plain.join("\n").replace(/^\n+|\n+$/g, "");
    if (run) nodes.push(...run.split(/\n{2,}/).map((paragraph) => element("p", spans(paragraph))));
    plain = [];
  };
  for (const line of text.split("\n")) {
    const kind = LINE_KINDS.find(({ pattern }) => pattern.test(line));
    if (!kind) {
      open = null;
      plain.push(line);
      continue;
    }
    flush();
    if (open?.localName !== kind.block) {
      open = element(kind.block, []);
      nodes.push(open);
    }
    const parts = kind.pattern.exec(line);
    const item = element(kind.block === "blockquote" ? "p" : "li", spans(parts.at(-1)));
    if (kind.block === "ol") item.value = Number(parts[1]);
    open.append(item);
  }
  flush();
  return nodes;
}

const MARKS = { "*": "strong", "_": "em", "~": "s", "`": "code" };

/** `text` as nodes; a mark counts only at the edge of words, on one line, and not within itself. */
function spans(text, marks = "*_~`") {
  const nodes = [];
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    const end = marks.includes(mark) ? closing(text, at) : -1;
    if (end < 0) continue;
    const inside = text.slice(at + 1, end);
    const inner = mark === "`" ? [inside] : spans(inside, marks.replace(mark, ""));
    nodes.push(text.slice(from, at), element(MARKS[mark], inner));
    from = end + 1;
    at = end;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const isWord = (letter) => letter !== undefined && /[\p{L}\p{N}]/u.test(letter);
const isSpace = (letter) => letter === undefined || /\s/.test(letter);

/** Where the mark that opens at `at` closes, or -1. */
function closing(text, at) {
  if (isWord(text[at - 1]) || isSpace(text[at + 1]) || text[at + 1] === text[at]) return -1;
  for (let end = at + 2; end < text.length && text[end] !== "\n"; end += 1) {
    if (text[end] === text[at] && !isSpace(text[end - 1]) && !isWord(text[end + 1])) return end;
  }
  return -1;
}

// The head of a room: its name, how many are here, the path in use, and the way to invite.
// `#room`, `#subtitle`, `#path` (`data-tone`), `#people-toggle`, `#invite`.

import { el, put, say } from "./dom.js";
import { icon } from "./icons.js";

/**
 * @param {{leave: () => void, togglePeople: () => void, showPath: () => void, invite: () => void}} acts
 */
export function roomHeader(acts) {
  const home = el("a", { class: "brand", href: "/", "aria-label": "To the start page", title: "To the start page" }, "E");
  const title = el("h1", { id: "room" });
  const dot = el("span", { class: "dot small", "aria-hidden": "true" });
  const crowdText = el("span", { class: "wide" });
  const wayText = el("span", { class: "slim" });
  const subtitle = el("p", { id: "subtitle" }, crowdText, wayText);
  const pathText = el("span", {});
  const path = el("button", { id: "path", type: "button", class: "pill", title: "Why this path?", onclick: acts.showPath },
    el("span", { class: "dot", "aria-hidden": "true" }), pathText);
  const count = el("span", { class: "count", "aria-hidden": "true" });
  const people = el("button", {
    id: "people-toggle", type: "button", class: "plain", "aria-controls": "people", "aria-expanded": "false",
    onclick: acts.togglePeople,
  }, icon("people"), count);
  const invite = el("button", { id: "invite", type: "button", class: "primary", onclick: acts.invite }, "Invite");
  const node = el("header", { class: "room-head" }, home,
    el("div", { class: "titles" }, title, el("div", { class: "under" }, dot, subtitle)), path, people, invite);
  home.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    acts.leave();
  });
  /** @param {{room: string, people: number, keeps: boolean, summary: ReturnType<typeof import("../words.js").summary>}} view */
  const update = ({ room, people: many, keeps, summary }) => {
    const { tone, text, figure } = summary;
    const crowd = many === 1 ? "Only you" : `${many} people`;
    say(title, room);
    put(title, "title", room);
    const way = figure ? `${text} · ${figure}` : text;
    say(crowdText, `${crowd} · ${keeps ? "history on this node" : "nothing you write is kept at the node"}`);
    for (const element of [wayText, pathText]) say(element, way);
    for (const element of [path, dot]) put(element, "data-tone", tone);
    say(count, many > 0 ? String(many) : "");
    put(people, "aria-label", `People and paths, ${crowd.toLowerCase()}`);
  };
  return { node, update, people, path };
}

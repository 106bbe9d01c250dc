import RFB from "./novnc-1.7.0/core/rfb.js";

const place = (id) => document.getElementById(id);
const buttons = [place("reset"), place("full")];

/** Tells how the console is, in words and as the body's `data-state`. */
function show(state, words) {
  document.body.dataset.state = state;
  place("status").textContent = words;
  for (const button of buttons) button.disabled = state !== "connected";
}

/** Opens the console that the token is for, in a WebSocket on the node this page comes from. */
function open(token) {
  const url = new URL("websockify", location);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  url.searchParams.set("token", token);
  const socket = new WebSocket(url, "binary");
  const rfb = new RFB(place("screen"), socket, { shared: true });
  rfb.scaleViewport = true;
  rfb.addEventListener("connect", () => {
    show("connected", "");
    rfb.focus();
  });
  rfb.addEventListener("credentialsrequired", () => socket.close(1000, "The VM's screen asks for a password."));
  // The reason is the node's own; a connection that broke has none.
  socket.addEventListener("close", (event) =>
    show("closed", event.reason || "The connection to the management node was lost."));
  place("reset").addEventListener("click", () => {
    rfb.sendCtrlAltDel();
    rfb.focus();
  });
  place("full").addEventListener("click", () => place("screen").requestFullscreen());
}

const parameters = new URLSearchParams(location.hash.slice(1));
const token = parameters.get("token");
const name = parameters.get("name");
if (name) place("name").textContent = document.title = name;
// It opens one console, once: in the history it would only be found by others.
history.replaceState(null, "", location.pathname);
if (token) open(token);
else show("closed", "This address was used: request another one.");

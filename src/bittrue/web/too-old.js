/** For browsers without modules, which read nothing else of this. */

/** @type {{[id: string]: string}} */
var texts = { title: "This browser is too old", said: "Open this address in a newer one." };
for (var id in texts) {
  var element = document.getElementById(id);
  if (element !== null) element.textContent = texts[id];
}
document.body.setAttribute("data-state", "gone");

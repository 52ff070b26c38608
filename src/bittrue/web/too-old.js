/** For browsers without modules, which read nothing else of this. */

document.getElementById("title").textContent = "This browser is too old";
document.getElementById("said").textContent = "Open this address in a newer one.";
document.body.setAttribute("data-state", "gone");

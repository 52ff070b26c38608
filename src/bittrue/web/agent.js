/** The page in a browser that Bittrue has opened: its session begins at once. */

import { Connection, socketAddress } from "./page.js";
import { View } from "./view.js";

const view = new View(document);
const connection = new Connection(view, socketAddress("socket"), {
  stopped: () => {
    if (!connection.session.over) view.finished("Finished");
  },
  lost: (over) => {
    if (!over) view.failed("The connection to Bittrue is lost. This tab can be closed.");
  },
});

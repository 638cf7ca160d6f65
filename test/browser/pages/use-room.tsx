/** An application of `useRoom`, under StrictMode: `?host=…&room=…`. */
import { StrictMode, useState, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { useRoom } from "../../../client/react.ts";

const query = new URLSearchParams(location.search);
const delays = { minReconnectionDelay: 50, maxReconnectionDelay: 500 };

function Messages({ host, room }: { readonly host: string; readonly room: string }): ReactElement {
  const [messages, setMessages] = useState<readonly string[]>([]);
  const [recoveries, setRecoveries] = useState(0);
  const { status } = useRoom({
    host,
    room,
    ...delays,
    onMessage: ({ data }) => setMessages((before) => [...before, String(data)]),
    onRecovered: () => setRecoveries((before) => before + 1),
  });
  return (
    <>
      <p id="status">{`${room} ${status}`}</p>
      <p id="recoveries">{recoveries}</p>
      <ol id="messages">
        {messages.map((message, index) => (
          <li key={index}>{message}</li>
        ))}
      </ol>
    </>
  );
}

function App(): ReactElement {
  const [room, setRoom] = useState(query.get("room") ?? "");
  const [isShown, setIsShown] = useState(true);
  return (
    <>
      <button id="move" onClick={() => setRoom(query.get("next") ?? "")}>
        Other room
      </button>
      <button id="leave" onClick={() => setIsShown(false)}>
        Leave
      </button>
      {isShown && <Messages host={query.get("host") ?? ""} room={room} />}
    </>
  );
}

const root = document.querySelector("#root");
if (root === null) throw new Error("no root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);

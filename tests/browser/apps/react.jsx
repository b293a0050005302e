/* A page by React: what it renders comes late, changes each second's part, and is taken away and put back. */
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

const PHONE = "8 (495) 123-45-67";

function Header({ ticks }) {
  return (
    <header>
      <a href="tel:+74951234567">{PHONE}</a>
      <span id="pieces">
        <b>+7 (495)</b> {"123"}-{"45"}-67
      </span>
      <output>{ticks}</output>
    </header>
  );
}

function Page() {
  const [ticks, setTicks] = useState(0);
  const [route, setRoute] = useState("home");
  useEffect(() => {
    const timer = setInterval(() => setTicks((ticks) => ticks + 1), 20);
    return () => clearInterval(timer);
  }, []);
  const go = (name) => {
    history.pushState({}, "", `/react/${name}`);
    setRoute(name);
  };
  return (
    <>
      <Header ticks={ticks} />
      <button onClick={() => go(route === "home" ? "contacts" : "home")}>Go on</button>
      <main>
        {route === "home" ? <h1>Call us</h1> : <h1>Call {PHONE}</h1>}
        <p id="same">{ticks % 2 ? `Odd: ${PHONE}` : `Even: ${PHONE}`}</p>
      </main>
    </>
  );
}

createRoot(document.querySelector("#root")).render(<Page />);

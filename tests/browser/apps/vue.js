/* The same by Vue. */
import { createApp } from "vue/dist/vue.esm-bundler.js";

const PHONE = "8 (495) 123-45-67";

createApp({
  data: () => ({ phone: PHONE, route: "home", ticks: 0 }),
  mounted() {
    setInterval(() => this.ticks++, 20);
  },
  methods: {
    go() {
      this.route = this.route === "home" ? "contacts" : "home";
      history.pushState({}, "", `/vue/${this.route}`);
    },
  },
  template: `
    <header>
      <a href="tel:+74951234567">{{ phone }}</a>
      <span id="pieces"><b>+7 (495)</b> {{ "123" }}-{{ "45" }}-67</span>
      <output>{{ ticks }}</output>
    </header>
    <button @click="go">Go on</button>
    <main>
      <h1 v-if="route === 'home'">Call us</h1>
      <h1 v-else>Call {{ phone }}</h1>
      <p id="same">{{ ticks % 2 ? "Odd: " + phone : "Even: " + phone }}</p>
    </main>`,
}).mount("#root");

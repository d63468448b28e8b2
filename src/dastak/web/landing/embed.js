// <dastak-page page="diwali" lang="hi"></dastak-page>: a page of ours in a frame that grows with it.
// The site that includes it may have names like ours, or include it twice.
{
  const home = new URL(document.currentScript.src).origin;
  if (!customElements.get("dastak-page")) customElements.define("dastak-page", class extends HTMLElement {
    connectedCallback() {
      if (this.frame) return;
      const page = encodeURIComponent(this.getAttribute("page") || "");
      const language = this.getAttribute("lang");
      this.frame = document.createElement("iframe");
      this.frame.src = `${home}/f/${page}${language ? `?lang=${encodeURIComponent(language)}` : ""}`;
      this.frame.title = this.getAttribute("title") || page;
      this.frame.allow = "otp-credentials";
      Object.assign(this.frame.style, { width: "100%", border: "0", minHeight: "32rem" });
      this.heard = (event) => {
        if (event.origin !== home || event.source !== this.frame.contentWindow) return;
        const told = event.data;
        if (!told || told.dastak !== "page") return;
        if (Number.isFinite(told.height)) this.frame.style.height = `${Math.min(told.height, 4000)}px`;
        if (told.stage === "done") this.dispatchEvent(new CustomEvent("proved", { bubbles: true }));
      };
      addEventListener("message", this.heard);
      this.append(this.frame);
    }
    disconnectedCallback() {
      removeEventListener("message", this.heard);
    }
  });
}

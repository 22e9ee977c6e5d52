// What the page's other scripts leave in the global scope.

import type * as LightweightChartsModule from "lightweight-charts";

declare global {
  /** TradingView's charts; missing where their package is not installed. */
  var LightweightCharts: typeof LightweightChartsModule | undefined;

  /** Swagger UI; missing where its package is not installed. */
  var SwaggerUIBundle: ((options: object) => void) | undefined;

  interface DocumentEventMap {
    /** The colours have changed. */
    theme: Event;
    /** The person has chosen colours. */
    "choose-theme": CustomEvent<"light" | "dark">;
  }
}

import type { Report } from "./report.ts";
import { headLine } from "./table-report.ts";

export const htmlReport = (report: Report): string => headLine(report);

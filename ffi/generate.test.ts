import { expect, test } from "bun:test";
import { generate, generatedPath, pinnedHeaders } from "./generate.ts";
import { parseHeaders } from "./headers.ts";

test("the checked-in bindings are what the pinned headers give", async () => {
  const again = generate(pinnedHeaders());
  const checkedIn = await Bun.file(generatedPath).text();
  // Compared as a flag first: a diff of two files of this size helps nobody.
  expect(again === checkedIn ? "same" : "differs: run bun ffi/generate.ts").toBe("same");
});

test("declarations of every form that the headers use are read with their types", () => {
  const text = `
    extern "C" {
    typedef struct mlx_array_ { void* ctx; } mlx_array;
    typedef struct mlx_optional_float_ { float value; bool has_value; } mlx_optional_float;
    typedef struct mlx_wide_ { void* a; void* b; } mlx_wide;
    typedef enum mlx_kind_ { MLX_A, MLX_B } mlx_kind;
    /* int mlx_commented(void); */
    int mlx_a(mlx_array* res, const mlx_array x /* may be null */, const int* shape, size_t shape_num, mlx_optional_float base);
    mlx_array mlx_b(void (*dtor)(void*, int), const char* name, mlx_kind kind);
    void exo_c(mlx_wide w, uint64_t seed, const mlx_array* list);
    #ifdef HAS_FLOAT16
    int mlx_arm(float16_t* res);
    #endif
    }`;
  const described = parseHeaders([{ name: "x.h", text }]).map(
    ({ name, returns, parameters }) =>
      `${returns.kind} ${name}(${parameters.map((p) => `${p.name}: ${p.type.kind}${"of" in p.type ? ` ${p.type.of}` : ""}${p.nullable ? "?" : ""}`).join(", ")})`,
  );
  expect(described).toEqual([
    "scalar mlx_a(res: outHandle mlx_array, x: handle mlx_array?, shape: pointer, shape_num: scalar size, base: optional float)",
    "handle mlx_b(dtor: pointer, name: string, kind: scalar enum)",
    "void exo_c(w: unsupported, seed: scalar u64, list: constHandles mlx_array)",
  ]);
});

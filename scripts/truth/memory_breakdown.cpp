// Prints the bytes of cache and compute buffer that llama.cpp would reserve for a GGUF, allocating nothing.
//
// Link with libllama and ggml of llama.cpp commit 0c1e570 (the sdist of llama-cpp-python 0.3.36 holds it), built for the CPU alone.
// usage: memory_breakdown FILE < SETTINGS ; one line of n_ctx:n_ubatch:n_batch:n_seq_max:kv_unified:type_k:type_v:flash_attn:swa_full each, ":server"
// behind it for the outputs that the server asks for.
#include "llama-ext.h"
#include "llama.h"

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

static ggml_type type_of(const std::string & name) {
    for (int i = 0; i < GGML_TYPE_COUNT; i++) {
        const char * known = ggml_type_name((ggml_type) i);
        if (known && name == known) return (ggml_type) i;
    }
    return GGML_TYPE_COUNT;
}

int main(int, char ** argv) {
    llama_log_set([](ggml_log_level level, const char * text, void *) { if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr); }, nullptr);
    llama_backend_init();
    llama_model_params params = llama_model_default_params();
    params.no_alloc = true;
    params.use_extra_bufts = false;
    params.load_mode = LLAMA_LOAD_MODE_NONE;
    params.n_gpu_layers = 0;
    llama_model * model = llama_model_load_from_file(argv[1], params);
    if (!model) return 1;
    std::string line;
    while (std::getline(std::cin, line)) {
        std::vector<std::string> part;
        std::stringstream stream(line);
        for (std::string x; std::getline(stream, x, ':');) part.push_back(x);
        llama_context_params c = llama_context_default_params();
        c.n_ctx = std::stoul(part[0]);
        c.n_ubatch = std::stoul(part[1]);
        c.n_batch = std::stoul(part[2]);
        c.n_seq_max = std::stoul(part[3]);
        c.kv_unified = part[4] == "1";
        c.type_k = type_of(part[5]);
        c.type_v = type_of(part[6]);
        c.flash_attn_type = part[7] == "1" ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
        c.swa_full = part[8] == "1";
        if (part.size() > 9) c.n_outputs_max = c.n_seq_max;
        llama_context * context = llama_init_from_model(model, c);
        size_t cache = 0, compute = 0;
        if (context) {
            for (auto & [type, data] : llama_get_memory_breakdown(context)) {
                cache += data.context;
                compute += data.compute;
            }
            llama_free(context);
        }
        printf("%s %zu %zu\n", line.c_str(), cache, compute);
    }
}

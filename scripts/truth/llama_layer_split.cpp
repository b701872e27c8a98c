// Which layers go to which device: the arithmetic of llama.cpp commit 0c1e570 (llama-model.cpp, load_tensors), for devices of equal
// shares (--tensor-split 1,1,..., or so many bytes of free memory each) and all layers on devices.
//
// usage: c++ -O1 llama_layer_split.cpp -o split && ./split LAYERS DEVICES SHARE...
//
// The figures in src/project/memory/parallel/stages.rs were printed by it. With shares of 1, all of 1 to 130 layers on up to 16 devices
// follow the rule there; with free memory in bytes, whose sums are rounded to 24 bits, a layer on an even cut can stand on the device before.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>
int main(int argc, char ** argv) {
    for (int a = 1; a + 2 < argc; a += 3) {
        const int n_layer_all = atoi(argv[a]); const int n = atoi(argv[a + 1]); const float share = atof(argv[a + 2]);
        std::vector<float> splits(n, share);
        float split_sum = 0.0f;
        for (int i = 0; i < n; ++i) { split_sum += splits[i]; splits[i] = split_sum; }
        for (int i = 0; i < n; ++i) { splits[i] /= split_sum; }
        const int act_gpu_layers = n_layer_all + 1;
        std::vector<int> count(n);
        int output = -1;
        for (int il = 0; il <= n_layer_all; ++il) {
            const int layer_gpu = std::upper_bound(splits.begin(), splits.end(), float(il) / act_gpu_layers) - splits.begin();
            if (il < n_layer_all) { count[layer_gpu]++; } else { output = layer_gpu; }
        }
        printf("%d layers %d devices share %g:", n_layer_all, n, share);
        for (int c : count) { printf(" %d", c); }
        printf(" output on %d\n", output);
    }
}
